"""Text → the same without what names or reaches a person, and without secrets: for what leaves for a trace.

    anna@example.org, +49 30 1234567    →    [e-mail hidden], [phone hidden]

By form alone: e-mail addresses, phone numbers as they are written with a plus or with brackets or dashes, card and
bank account numbers whose check digits are right, addresses of the network. A name is no form: it is not found.
"""

import ipaddress
import re

from ingest.secrets import mask as mask_secrets

_MAIL = re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?!\w)")
_PHONE = re.compile(
    r"(?<![\w.+-])(?:\+\d{1,3}[ \-./]?(?:\(0?\d{1,5}\)[ \-./]?)?\d(?:[ \-./]?\d){5,13}"  # +49 (0)30 123-456
    r"|\(\d{3}\)[ \-.]?\d{3}[ \-.]\d{4}|\d{3}-\d{3}-\d{4})(?![\w-])"  # (030) 123-4567, 030-123-4567
)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_BANK = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_NETWORK = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")


def mask(text: str) -> str:
    """Return text with each secret, and each sign of a person, replaced by its kind in brackets."""
    text = _MAIL.sub("[e-mail hidden]", mask_secrets(text))
    text = _BANK.sub(lambda found: "[account hidden]" if _is_account(found[0]) else found[0], text)
    text = _CARD.sub(lambda found: "[card hidden]" if _is_card(found[0]) else found[0], text)
    text = _PHONE.sub("[phone hidden]", text)
    return _NETWORK.sub(lambda found: "[address hidden]" if _is_public(found[0]) else found[0], text)


def _is_card(text: str) -> bool:
    """Return whether the check digit is right (Luhn; ISO/IEC 7812-1, annex B)."""
    digits = [int(digit) for digit in text if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) if i % 2 else digit for i, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0 and len(set(digits)) > 3


def _is_account(text: str) -> bool:
    """Return whether the check digits are right (ISO 13616: 97 divides it with one over)."""
    plain = text.replace(" ", "")
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False
