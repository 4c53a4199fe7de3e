"""Statistics to normalise with, from the XML that OTB's ComputeImagesStatistics writes."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from ..errors import InputMissing, InputUnreadable, InvalidJob


def read_statistics(path: str, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature; deviations of 0 become 1.

    Args:
        features: how many there have to be.

    Raises:
        InputMissing, InputUnreadable: there is no such file, or it holds no statistics.
        InvalidJob: of another number of features.
    """
    parser = _Statistics()
    try:
        with open(path, encoding='utf-8-sig') as file:
            parser.feed(file.read())
            parser.close()
        mean, stddev = (np.array(parser.found[name], np.float64) for name in ('mean', 'stddev'))
    except FileNotFoundError:
        raise InputMissing(f'{path}: no such file. It should hold means and standard deviations as XML.') from None
    except (OSError, ValueError, KeyError) as error:
        raise InputUnreadable(
            f'{path}: no statistics of features, as "ComputeImagesStatistics" writes them ({error}).'
        ) from error
    if len(mean) != features or len(stddev) != features:
        raise InvalidJob(f'{path}: statistics of {len(mean)} features, but there are {features}.')
    if not np.isfinite([mean, stddev]).all() or (stddev < 0).any():
        raise InputUnreadable(f'{path}: a mean or standard deviation in it is none.')
    return mean, np.where(stddev > 0, stddev, 1.0)


class _Statistics(HTMLParser):
    """Collects the vectors by their names, without the entity expansion that makes XML from unknown places a risk.

    It gives names in lower case.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, list[float]] = {}
        self._values: list[float] | None = None

    def handle_starttag(self, tag: str, attrs: list) -> None:
        values = {key: value or '' for key, value in attrs}
        if tag == 'statistic':
            self._values = self.found.setdefault(values.get('name', ''), [])
        elif tag == 'statisticvector' and self._values is not None:
            self._values.append(float(values.get('value', '')))

    def handle_endtag(self, tag: str) -> None:
        if tag == 'statistic':
            self._values = None
