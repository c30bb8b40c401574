"""Fault detectors: independent of the cleaner, and fast on hostile text."""

import signal

import pytest

from ctai.prompts import CompletionStylePrompts
from ctai.qc.faults import find_faults

pytestmark = pytest.mark.unit


# ------------------------------------------------------------------------------------------ independent of the cleaner


@pytest.mark.fault(9, plant="faults that the cleaner leaves in the text", check="detectors on cleaned text")
@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ("Paris. Instruction: Name the capital of Spain. Response: Madrid", "runaway"),
        ("Paris\n2. What is the capital of Spain?", "runaway"),
        ("Paris. What is the capital of Italy? Rome.", "runaway"),
        ("It rains.\nStudent: And in summer?\nTeacher: It rains too.", "runaway"),
        ("It is hot. It is very hot today. It is very hot today.", "runaway"),
        ("Paris ###", "delimiter"),
        ("Here is the program:\n\ndef f():\n    return 1", "truncated"),
    ],
)
def test_the_cleaner_does_not_hide_what_the_detectors_look_for(raw, fault):
    assert fault in find_faults(CompletionStylePrompts.clean_response(raw))


# ------------------------------------------------------------------------------------------------------- single texts


@pytest.mark.fault(8, plant="a good answer of more than 400 characters and eight sentences", check="detector: runaway")
def test_a_long_good_explanation_is_no_runaway():
    text = " ".join(f"Reason number {word} is that plants of the {word} kind need light." for word in
                    ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"))  # fmt: skip
    assert len(text) > 400
    assert find_faults(text, "eos") == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        "Scene: a small kitchen.\nMIA: Did you hear that?\nLENA: Hear what?\nMIA: The door.",
        "Here is an interview.\n\nGuest: Why me?\nHost: Why not?\nGuest: True.",
        "Employees\n\nName: Ann\nAge: 31\n\nName: Bob\nAge: 27",
        "Project: Garden\nManager: Lena Ruiz\nAssistant: Tom Berg",
        "Q: Do you ship abroad?\nA: Yes.\n\nQ: Is it free?\nA: No.",
        "The sky looks blue because air scatters blue light. But why is it not violet? Our eyes see it less well.",
        "A metaphor is a comparison.\n\nExample 1: Time is a thief.\nExample 2: The world is a stage.",
        "Step 1: Open the app.\nStep 2: Click here to log in.\nStep 3: Choose a name.",
        "7 x 1 = 7\n7 x 2 = 14\n7 x 3 = 21\n7 x 4 = 28\n7 x 5 = 35\n7 x 6 = 42",
        "class A\n  def x\n    1\n  end\n  def y\n    2\n  end\nend",
        "1" + "0" * 100,
        "April and May",
        "red green blue pink gray gold black white brown orange purple silver",
        "There are three states of matter: solid, liquid and gas",
        "\u201eGuten Tag\u201c, sagte er.",
        "... --- ...",
        "-",
    ],
)  # fmt: skip
def test_no_fault_in_what_people_write(text):
    assert find_faults(text, "eos") == frozenset()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Paris\n\nStudent: And Spain?\nTeacher: Madrid.", "runaway"),
        ("gato\n\nEnglish: dog\nSpanish: perro", "runaway"),
        ("Il fait beau.\n\nTraduis en anglais : Il pleut.\n\nIt is raining.", "runaway"),
        ("Gold\n\nQ. What is the symbol of iron?\nA. Fe", "runaway"),
        ("7\n\n2.\nWhat is 4 + 5?\n9", "runaway"),
        ("I think so too!\n\nLeave a comment\nYour email will not be published.", "runaway"),
        ("Rome\n\nChapter 2\n\nThe Roman Empire grew quickly.", "runaway"),
        ("hahahahahahahahahahahahahahahahahahaha", "runaway"),
        ("Le chat dort sur le canap\u00e9 dans la", "truncated"),
        ("If you heat the mixture slowly, please", "truncated"),
        ("a,b,c\n1,2,3\n4,5", "truncated"),
        ("<ul>\n<li>Milk</li>\n<li>Br", "truncated"),
        ("Paris<|im_st", "template"),
    ],
)
def test_faults_in_other_forms(text, fault):
    assert fault in find_faults(text)


# ----------------------------------------------------------------------------------------------------- hostile text

PIECES = (
    "a", "a b ", "\n", "( ", "Q ", "what ", "#", "x ", "<s>", "1. a\n", '"', "- ", "what x\n", "a. B", "_", "[(", "::", "ha",
    "<a ", "</a>", "**a ", "Q: a?\nA: b\n", "| a |\n", "Name a. ", "A? B. ", "```\n", "<|a", "Name: x\n", "##", "#\n", "a:b\n",
    "\u201c", "a\n\n", "What is a b? ", "x says:\n", "a, ", "\t", "\u00a0", "## x ", "<p a", "___ a",
)  # fmt: skip


@pytest.fixture
def no_hang():
    """A pattern that backtracks for ever ends in an error after 30 seconds of processor time, thirty times what is usual."""

    def stop(*_signal: object) -> None:
        raise TimeoutError("a pattern backtracks without end")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, 30)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("piece", PIECES, ids=repr)
def test_a_megabyte_of_hostile_text_is_judged(piece, no_hang):
    for text in (piece * (1_000_000 // len(piece)), "x" + piece * (19_000 // len(piece)) + "x"):
        assert find_faults(text, "length") >= {"token_limit"}
