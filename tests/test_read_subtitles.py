from pathlib import Path

from ingest.read.subtitles import read
from tests.readings import damaged, survives, told

LECTURE = """WEBVTT - GPU architecture

NOTE
Recorded in
November.

STYLE
::cue { color: red }

intro
00:00:01.000 --> 00:00:04.000 align:start position:0%
<v Ana>Welcome to the <i>lecture</i> on
GPUs &amp; <c.yellow>warps</c>.

00:00:04.000 --> 00:00:09.500
<v Ana>A warp has 32 threads.

00:00:09.500 --> 00:00:12.000
<v.loud Ben>How many on AMD?

00:00:12.000 --> 00:00:13.000
<v Ana>64.

00:01:10.000 --> 00:01:12.000
After a pause.
"""


def test_cues_become_running_text_that_is_found_by_its_time() -> None:
    document = read(Path("lecture.vtt"), LECTURE.encode())

    assert document.title == "GPU architecture"
    assert told(document) == [
        ("00:00:01", "Ana: Welcome to the lecture on GPUs & warps. A warp has 32 threads."),
        ("00:00:09", "Ben: How many on AMD?"),
        ("00:00:12", "Ana: 64."),
        ("00:01:10", "After a pause."),
    ]
    assert document.remark == ""


def test_srt_is_read_with_commas_numbers_and_style_tags() -> None:
    data = (
        '1\r\n00:59:59,900 --> 01:00:02,000\r\n{\\an8}<font color="#fff">If a < b</font>\r\nthen stop.\r\n\r\n'
        "2\r\n01:00:02,000 --> 01:00:03,000\r\n2\r\n"
    )

    assert told(read(Path("a.srt"), data.encode())) == [("00:59:59", "If a < b then stop. 2")]


def test_cues_without_a_blank_line_between_them_are_told_apart() -> None:
    data = "1\n00:00:01,000 --> 00:00:02,000\none\n2\n00:00:05,500 --> 00:00:06,000\ntwo\n"

    assert told(read(Path("a.srt"), data.encode())) == [("00:00:01", "one"), ("00:00:05", "two")]


def test_a_paragraph_lasts_half_a_minute_at_most_and_ends_with_a_sentence_if_it_can() -> None:
    cues = [f"00:{at // 60:02}:{at % 60:02}.000 --> 00:{at // 60:02}:{at % 60 + 4:02}.000\n" for at in range(0, 100, 5)]
    flowing = "\n".join(f"{time}word{number}\n" for number, time in enumerate(cues))
    sentences = "\n".join(f"{time}Sentence {number}.\n" for number, time in enumerate(cues))

    assert [place for place, _ in told(read(Path("a.vtt"), flowing.encode()))] == [
        "00:00:00",
        "00:00:30",
        "00:01:00",
        "00:01:30",
    ]
    assert [place for place, _ in told(read(Path("a.vtt"), sentences.encode()))][:3] == [
        "00:00:00",
        "00:00:20",
        "00:00:40",
    ]


def test_rolling_captions_are_said_once() -> None:
    rolling = (
        "WEBVTT\nKind: captions\nLanguage: en\n\n"
        "00:00:00.000 --> 00:00:02.000\n \nso<00:00:00.500><c> today</c>\n\n"
        "00:00:02.000 --> 00:00:02.010\nso today\n \n\n"
        "00:00:02.010 --> 00:00:04.000\nso today\nwe<00:00:03.000><c> shard</c>\n\n"
        "00:00:04.000 --> 00:00:06.000\nwe shard\nwe shard models\n"
    )

    assert told(read(Path("a.vtt"), rolling.encode())) == [("00:00:00", "so today we shard models")]


def test_what_is_said_again_after_a_while_is_kept() -> None:
    data = "00:00:01.000 --> 00:00:02.000\nYes.\n\n00:00:04.000 --> 00:00:05.000\nYes.\n"

    assert told(read(Path("a.vtt"), data.encode())) == [("00:00:01", "Yes. Yes.")]


def test_malformed_cues_are_skipped_and_counted() -> None:
    data = (
        "WEBVTT\n\n00:00:01.000 -> 00:00:02.000\nlost\n\nxx --> yy\nlost too\n\n"
        "00:03.000 --> 00:04.000\nShort times are fine.\n\n00:00:05.000 --> 00:00:06.000\n\n"
    )
    document = read(Path("a.vtt"), data.encode())

    assert told(document) == [("00:00:03", "Short times are fine.")]
    assert document.remark == "2 malformed cues skipped"


def test_two_voices_in_one_cue_are_told_apart() -> None:
    data = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<v Ana>Ready?</v>\n<v Ben>Yes.</v>\n"

    assert told(read(Path("a.vtt"), data.encode())) == [("00:00:01", "Ana: Ready?"), ("00:00:01", "Ben: Yes.")]


def test_tags_without_end_do_not_take_long() -> None:
    cue = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n"

    told(read(Path("a.vtt"), (cue + "<v " * 300_000).encode()))
    told(read(Path("a.vtt"), (cue + "<v" + " " * 300_000).encode()))
    told(read(Path("a.vtt"), (cue + "{\\" * 300_000).encode()))


def test_whatever_is_damaged_the_result_is_a_document_or_a_reason() -> None:
    assert survives(read, "lecture.vtt", damaged(LECTURE.encode(), times=200, seed=11)) > 100
