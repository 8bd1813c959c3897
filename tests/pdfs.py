"""PDF files made byte by byte, so that a test can put anything into them."""

import zlib
from collections.abc import Sequence
from io import BytesIO

import pypdf

HELVETICA = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
FONTS = b"<</Font<</F 3 0 R>>>>"


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """Return a stream object."""
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), entries, content)


def deflated(content: bytes) -> bytes:
    """Return a compressed stream object."""
    return stream(zlib.compress(content, 1), b"/Filter/FlateDecode")


def line(text: str) -> bytes:
    """Return the content of a page on which one line stands."""
    return b"BT /F 12 Tf 50 700 Td (%s) Tj ET" % text.encode("latin-1")


def scan() -> bytes:
    """Return the content of a page that is one grey picture."""
    return b"q 500 0 0 700 50 50 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q"


def pdf(objects: Sequence[bytes]) -> bytes:
    """Return the file of these objects, numbered from 1; the first is the catalog."""
    data, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    trailer = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(data))
    return data + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + trailer


def document(*contents: bytes, resources: bytes = FONTS, more: Sequence[bytes] = ()) -> bytes:
    """Return a file with a page for each content: a stream object, or what stands in an uncompressed one.

    Object 3 is the font F; `more` are further objects, numbered from 4 + 2 for each page.
    """
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", HELVETICA]
    kids = []
    for content in contents:
        objects.append(content if content.startswith(b"<<") else stream(content))
        kids.append(len(objects) + 1)
        page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources %s/Contents %d 0 R>>"
        objects.append(page % (resources, len(objects)))
    numbers = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), numbers)
    return pdf([*objects, *more])


def rewritten(
    data: bytes, *, password: str | None = None, title: str = "", outline: Sequence[tuple[str, int]] = ()
) -> bytes:
    """Return a PDF with a password (which may be empty), a title, and bookmarks to pages counted from 0."""
    writer = pypdf.PdfWriter(clone_from=BytesIO(data))
    if title:
        writer.add_metadata({"/Title": title})
    for name, page in outline:
        writer.add_outline_item(title=name, page_number=page)
    if password is not None:
        writer.encrypt(password, "the owner's", algorithm="AES-256")
    out = BytesIO()
    writer.write(out)
    return out.getvalue()
