import pytest

from ingest.read.clean import badness, clean, gain, words

GOOD = {
    "English": "Fully sharded data parallel keeps one shard of the parameters on every GPU and gathers a layer.",
    "German": "Die Verteilungsfunktion der Donaudampfschifffahrtsgesellschaft beschreibt Wahrscheinlichkeiten genau.",
    "Finnish": "Järjestelmällisyydestäänkin huolimatta opiskelija unohti tietokoneohjelmointikurssin harjoitustyönsä.",
    "Vietnamese": "Mô hình học sâu có thể được chia nhỏ ra để chạy trên nhiều máy tính cùng một lúc.",
    "Polish": "W Szczebrzeszynie chrząszcz brzmi w trzcinie i Szczebrzeszyn z tego słynie od lat.",
    "Czech": "Strč prst skrz krk a zmlkl vlk, protože čtvrtka byla prázdná a všichni šli domů.",
    "Russian": "Полностью шардированный параллелизм хранит одну часть параметров на каждом устройстве.",
    "Greek": "Η κατανομή των παραμέτρων μειώνει τη μνήμη κάθε συσκευής κατά τη διάρκεια της εκπαίδευσης.",
    "Chinese": "完全分片数据并行在每个设备上只保存一部分参数。训练时逐层收集参数，然后立即释放。",
    "Japanese": "完全シャード化データ並列は、各デバイスにパラメータの一部だけを保持します。",
    "Thai": "การประมวลผลแบบขนานช่วยลดการใช้หน่วยความจำของแต่ละอุปกรณ์ในระหว่างการฝึก",
    "Arabic": "تحتفظ كل وحدة معالجة بجزء واحد من المعاملات وتجمع الطبقات عند الحاجة إليها فقط",
    "Hindi": "प्रत्येक उपकरण पर केवल एक भाग रखा जाता है और आवश्यकता होने पर परतें एकत्र की जाती हैं",
    "code": "def all_gather(shards: list[Tensor]) -> Tensor: return torch.cat([s.to(device) for s in shards])",
    "maths": "Let f ( x ) = a x + b where a > 0 and b is real ; then the mean of f is E [ f ] = a m + b .",
    "numbers": "A100 80 2.0 312 H100 80 3.35 989 H200 141 4.8 989 B200 192 8.0 2250",
    "bullets": "\uf0b7 shards \uf0b7 gathers \uf0b7 frees",
}
BAD = {
    "no spaces": "Fullyshardeddataparallelkeepsoneshard oftheparametersoneveryGPUandgathersalayer beforeitisused",
    "only letters": "F u l l y s h a r d e d d a t a p a r a l l e l k e e p s o n e s h a r d",
    "no characters": "��� ����� ���� �������� ����� ��� �����",
    "glyph numbers": "(cid:44)(cid:72) (cid:55)(cid:75)(cid:72) (cid:80)(cid:82)(cid:71)(cid:72)(cid:79)",
    "private use": "\ue001\ue002\ue003 \ue004\ue005 \ue006\ue007\ue008\ue009 \ue00a\ue00b",
    "control characters": "\x01\x02\x03 \x04\x05 \x06\x07\x08 \x0e\x0f",
    "a shifted alphabet": "Ixoob vkdughg gdwd sdudoohoj nhhsv rqh vkdugv ri wkh sdudphwhuv rqrqh hyhubz JSXqx",
    "capitals inside": "fULlY sHaRdEdX dAtAx pArAlLeL kEePsX oNeXx sHaRdX oFxXx tHeXxX pArAmEtErS",
    "nothing": " \n ",
}


@pytest.mark.parametrize("name", GOOD)
def test_good_text_of_any_language_is_not_bad(name: str) -> None:
    assert badness(GOOD[name]) <= 0.1


@pytest.mark.parametrize("name", BAD)
def test_text_that_was_read_wrongly_is_bad(name: str) -> None:
    assert badness(BAD[name]) > 0.1


def test_a_page_that_shares_no_word_with_its_document_is_bad() -> None:
    known = words(" ".join(f"ordinary{chr(97 + i % 26)}{chr(97 + i // 26)}word" for i in range(400)))
    page = "Wkh prgho vkdugv lwv sdudphwhuv ryhu doo fdugv, dqg jdwkhuv wkhp djdlq, odbhu diwhu odbhu, iru hdfk edwfk."
    assert badness(page) <= 0.1
    assert badness(page, known) > 0.1
    assert badness(page, known | words(page)) <= 0.1


def test_of_two_readings_the_one_with_more_words_that_both_know_is_better() -> None:
    glued = "the model and the data of the cards: ofthe modeland thedata"
    whole = "the model and the data of the cards: of the model and the data"
    assert gain(glued, whole, set()) == pytest.approx(6 / 14)
    assert gain(whole, glued, set()) == pytest.approx(-6 / 14)
    assert gain("it is dis tributed", "it is distributed", {"distributed"}) == pytest.approx(1 / 4)
    assert gain(whole, whole, set()) == 0
    assert gain("", "", set()) == 0


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        (
            "The ﬁle is eﬃcient, the ﬂow eﬀective, a baﬄed ﬅ.",
            "The file is efficient, the flow effective, a baffled st.",
        ),
        ("a distri-\nbuted system", "a distributed\nsystem"),
        ("a distri-\r\nbuted system", "a distributed\nsystem"),
        ("a distri\u2010\nbuted system", "a distributed\nsystem"),
        ("a distri-\n  buted system", "a distributed\nsystem"),
        ("(distri-\nbuted)", "(distributed)"),
        ("state-of-the-\nart models", "state-of-the-art\nmodels"),
        ("self-\nattention", "self-attention"),
        ("Anglo-\nSaxon", "Anglo-Saxon"),
        ("GPT-\n4", "GPT-\n4"),
        ("1990-\n1995", "1990-\n1995"),
        ("the well-known one and a well-\nknown two", "the well-known one and a well-known\ntwo"),
        ("open source is an open-\nsource thing", "open source is an open-source\nthing"),
        ("hyper-\nparam-\neter tuning", "hyperparameter\ntuning"),
        ("either -\nor", "either -\nor"),
        ("ends in distri-", "ends in distri-"),
        ("so\u00adft hy\u00ad\nphens", "soft hyphens"),
        ("N\0U\0L", "NUL"),
        ("a\x01b", "a b"),
        ("half \ud83d and whole \ud83d\ude00", "half \ufffd and whole \U0001f600"),
        ("a\x0cb\x0bc\u2028d\x85e", "a\nb\nc\nd\ne"),
        ("\n\na  \n\n\n\n b \n\n", "a\n\n b"),
        ("a\u00a0b", "a b"),
        ("", ""),
    ],
)
def test_a_page_is_stored_with_whole_words_and_characters(raw: str, stored: str) -> None:
    assert clean(raw) == stored


def test_words_of_the_pages_before_tell_a_broken_word_from_a_compound() -> None:
    assert clean("under-\nstanding, standing under it") == "under-standing,\nstanding under it"
    assert clean("under-\nstanding, standing under it", {"understanding"}) == "understanding,\nstanding under it"
    assert clean("fine-\ntuning") == "finetuning"
    assert clean("fine-\ntuning", {"fine-tuning"}) == "fine-tuning"
    assert clean("fine-\ntuning", {"fine", "tuning"}) == "fine-tuning"


def test_a_million_broken_words_take_no_longer_than_they_should() -> None:
    assert len(clean("a-\n" * 300_000)) > 300_000
    assert badness("a" * 1_000_000) == 1.0
