"""Networks, losses, and what is known of them."""
