"""Prompt text: templates, few-shot framing, rubrics, and the parsing and cleaning of completions.

Owns all prompt text, which is plain text for *completion mode*: no chat template, no special tokens. Does not own the
content of prompts, such as the wording of instruction families and seed examples (`ctai.tasks`).
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

DELIMITER = "###END###"
STOP_STRINGS = ("\nInstruction", "\nQ:", "\n###", "\nUser:", "\nResponse:", DELIMITER)
LIST_STOP_STRINGS = ("\n\n",)

RESTYLED_PREAMBLE = (
    "Below is a list of instructions, each with a good response. A good response does what its instruction asks, in the "
    "form that it asks for. It gives the right answer and nothing else. It briefly refuses what is unsafe.\n\n"
)

INSTRUCTION_LIST_HEADER = "A list of short, clear and different instructions:\n"
LABEL_GOOD, LABEL_BAD = "A", "B"

_NEW_PROMPT_LINE = re.compile(r"\n[ \t]*(?:Instruction|Response|Q|A|User):")
# "A:" and "Response:" are not among them: they only mark the beginning of the answer.
_NEW_PROMPT_START = re.compile(r"(?:Instruction|Q|User):")
_NUMBERED = re.compile(r"^\s*\d{1,3}[.)]\s+(?P<text>\S.*)$")
_META_LINE = re.compile(
    r"(?i)^(?:here (?:is|are)\b|(?:more|other|some) instructions?\b|instructions?:|examples?:|a list of\b|note:|end of\b|\W*$)"
)
MAX_INSTRUCTION_CHARS = 300


class Rubric(NamedTuple):
    """Task of a critic, and the meaning of its two labels."""

    task: str
    good: str
    bad: str

    def text(self, swapped: bool) -> str:
        """Return the rubric as prompt text; `swapped` exchanges the letters, so that A means bad."""
        first, second = (self.bad, self.good) if swapped else (self.good, self.bad)
        return f"{self.task}\n{LABEL_GOOD}: {first}\n{LABEL_BAD}: {second}\n\n"


# "If uncertain, choose B" is no part of them: acceptance requires a confident A instead (docs/gates.md has the measurement).
INSTRUCTION_RUBRIC = Rubric(
    "Label each instruction.", "clear, specific, possible and safe.", "vague, impossible, cut off or unsafe."
)
PAIR_RUBRIC = Rubric(
    "Label each response.",
    "it does what the instruction asks, correctly and in the right form, or briefly refuses what is unsafe.",
    "wrong, off topic, cut off or in the wrong form.",
)


class Pair(NamedTuple):
    """An instruction and a response to it."""

    instruction: str
    response: str


class LabelledPair(NamedTuple):
    """A few-shot example of the pair critic: an instruction, a response and the label it deserves (`A` or `B`)."""

    instruction: str
    response: str
    label: str


class LabelledInstruction(NamedTuple):
    """A few-shot example of the instruction critic: an instruction and the label it deserves (`A` or `B`)."""

    instruction: str
    label: str


class CompletionStylePrompts:
    """Builder of all prompts that ctai sends to a model, and parser of the completions."""

    @staticmethod
    def zero_shot(instruction: str) -> str:
        """Return the prompt of training and evaluation; the completion begins with a space."""
        return f"Instruction: {instruction}\nResponse:"

    @staticmethod
    def raw(instruction: str) -> str:
        """Return the bare instruction, without a frame."""
        return instruction

    @staticmethod
    def prompt_formats(instruction: str) -> dict[str, str]:
        """Return an instruction in each prompt format, by name: that of ctai, and the most common alternative.

        The sentinels use them: weights that were tuned on such a format stop after the answer, a base model does not.
        """
        return {
            "instruction_response": CompletionStylePrompts.zero_shot(instruction),
            "question_answer": f"Q: {instruction}\nA:",
        }

    @staticmethod
    def completion(response: str) -> str:
        """Return the text that follows `zero_shot` in training, before the end-of-text token."""
        return f" {response}"

    @staticmethod
    def response_prompt(instruction: str, examples: Sequence[Pair]) -> str:
        """Return few-shot examples, each ended by the delimiter, then the instruction to answer."""
        return CompletionStylePrompts.few_shot_prefix(examples) + CompletionStylePrompts.zero_shot(instruction)

    @staticmethod
    def few_shot_prefix(examples: Sequence[Pair]) -> str:
        """Return the part of `response_prompt` that does not depend on the instruction, so that its cache can be shared."""
        zero_shot, completion = CompletionStylePrompts.zero_shot, CompletionStylePrompts.completion
        return "".join(f"{zero_shot(e.instruction)}{completion(e.response)}\n{DELIMITER}\n\n" for e in examples)

    @staticmethod
    def restyled_prompt(instruction: str, examples: Sequence[Pair]) -> str:
        """Return the preamble and examples of an aligned style, then the instruction to answer.

        The same text goes before every instruction of every run (URIAL; Lin et al. 2024, arXiv 2312.01552).
        """
        return RESTYLED_PREAMBLE + CompletionStylePrompts.response_prompt(instruction, examples)

    @staticmethod
    def instruction_prompt(examples: Sequence[str], topic: str | None = None) -> str:
        """Return a numbered list of instructions that ends mid-list, so that a base model continues with new ones.

        Args:
            examples: instructions to show, in order.
            topic: heading of the list; no heading by default.
        """
        heading = f"Topic: {topic}\n" if topic else ""
        numbered = "".join(f"{i}. {text}\n" for i, text in enumerate(examples, start=1))
        return f"{heading}{INSTRUCTION_LIST_HEADER}{numbered}{len(examples) + 1}."

    @staticmethod
    def instruction_critic_prefix(examples: Sequence[LabelledInstruction], swapped: bool = False) -> str:
        """Return rubric and few-shot examples, the constant part of all instruction judgements.

        Args:
            examples: few-shot examples, with the labels they deserve.
            swapped: exchange the meaning of the letters in rubric and examples.
        """
        blocks = "".join(f"{_instruction_block(e.instruction)} {_letter(e.label, swapped)}\n\n" for e in examples)
        return INSTRUCTION_RUBRIC.text(swapped) + blocks

    @staticmethod
    def instruction_critic(instruction: str, examples: Sequence[LabelledInstruction], swapped: bool = False) -> str:
        """Return rubric, few-shot examples and the instruction to judge; the next token is the label."""
        prefix = CompletionStylePrompts.instruction_critic_prefix(examples, swapped)
        return prefix + _instruction_block(instruction)

    @staticmethod
    def pair_critic_prefix(examples: Sequence[LabelledPair], swapped: bool = False) -> str:
        """Return rubric and few-shot examples of all pair judgements; see `instruction_critic_prefix`."""
        blocks = "".join(f"{_pair_block(e.instruction, e.response)} {_letter(e.label, swapped)}\n\n" for e in examples)
        return PAIR_RUBRIC.text(swapped) + blocks

    @staticmethod
    def pair_critic(instruction: str, response: str, examples: Sequence[LabelledPair], swapped: bool = False) -> str:
        """Return rubric, few-shot examples and the pair to judge; the next token is the label."""
        return CompletionStylePrompts.pair_critic_prefix(examples, swapped) + _pair_block(instruction, response)

    @staticmethod
    def clean_response(raw: str) -> str:
        """Return the response inside a raw completion.

        Cuts at the delimiter, or else at the first blank line or line that opens a new prompt, and strips white space. A
        text that begins with a new prompt gives an empty response.
        """
        text = raw.replace("\r\n", "\n").lstrip()
        if _NEW_PROMPT_START.match(text):
            return ""
        if DELIMITER in text:
            return text.split(DELIMITER, 1)[0].strip()
        cuts = [match.start() for match in (re.search(r"\n[ \t]*\n", text), _NEW_PROMPT_LINE.search(text)) if match]
        return text[: min(cuts, default=len(text))].strip()

    @staticmethod
    def parse_instructions(raw: str, complete: bool = True) -> list[str]:
        """Return the instructions in the continuation of a numbered list, in order, with duplicates.

        The continuation starts inside an item, so its first line has no number. Other lines without a number, meta lines
        and lines of more than 300 characters are dropped.

        Args:
            raw: completion of an `instruction_prompt`.
            complete: False if the text was cut; the last line is then dropped, since it may be half an instruction.
        """
        lines = raw.split("\n\n", 1)[0].splitlines()
        if not complete:
            lines = lines[:-1]
        texts: list[str] = []
        for index, line in enumerate(lines):
            match = _NUMBERED.match(line)
            text = match["text"] if match else (line if index == 0 else "")
            text = " ".join(text.split())
            if text and len(text) <= MAX_INSTRUCTION_CHARS and not _META_LINE.match(text):
                texts.append(text)
        return texts


def until_stop(raw: str, stops: Sequence[str]) -> str | None:
    """Return the text before the first stop string; None if no stop string occurs."""
    starts = [start for start in map(raw.find, stops) if start >= 0]
    return raw[: min(starts)] if starts else None


def _instruction_block(instruction: str) -> str:
    return f"INSTRUCTION: {instruction}\nLabel:"


def _pair_block(instruction: str, response: str) -> str:
    return f"INSTRUCTION: {instruction}\nRESPONSE: {response}\nLabel:"


def _letter(label: str, swapped: bool) -> str:
    """Return the letter that a few-shot example shows."""
    return label if not swapped else LABEL_BAD if label == LABEL_GOOD else LABEL_GOOD
