"""Words as search and checking see them: lower case, without stop words, stemmed."""

import re
from functools import cache

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
STOP_WORDS = frozenset(
    """a about above after again against all also am an and any are as at be because been before being below
    between both but by can could did do does doing down during each few for from further had has have having he
    her here hers herself him himself his how i if in into is it its itself just like may me might more most much
    must my myself no nor not now of off on once only or other our ours ourselves out over own per same shall she
    should so some such than that the their theirs them themselves then there these they this those through to
    too under until up upon us very was we were what when where whether which while who whom whose why will with
    within without would you your yours yourself yourselves""".split()
)


@cache
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


@cache
def _stemmer():  # type: ignore[no-untyped-def]  # Stemmer publishes no types
    from Stemmer import Stemmer

    return Stemmer("english")


def stems(text: str) -> list[str]:
    """Return the stems of a text's content words, in order, repeated as they occur."""
    words = (match[0].lower().replace("’", "'").removesuffix("'s") for match in _WORD.finditer(text))
    return [_stem(word) for word in words if word not in STOP_WORDS]
