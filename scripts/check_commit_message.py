"""Check a commit message: an imperative subject of at most 72 characters, then a blank line.

Runs as the `commit-msg` hook of `.pre-commit-config.yaml`. Owns the rules for subjects; checks neither spelling nor the body.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

MAX_SUBJECT = 72

# Subjects that git writes itself, and commits that an interactive rebase folds into others.
_GENERATED = ("Merge branch ", "Merge pull request ", "Merge remote-tracking ", "Merge tag ", 'Revert "')
_AUTOSQUASH = ("fixup! ", "squash! ", "amend! ")
# The line above the diff that `git commit --verbose` adds for reading.
_SCISSORS = "# ------------------------ >8 ------------------------"
# Imperatives that end like participles.
_IMPERATIVES = frozenset(
    "bring embed exceed feed heed need ping proceed ring seed shed speed spring string succeed".split()
)


def message_lines(text: str) -> list[str]:
    """Return the lines that git keeps: without comments, scissors and blank lines at the top."""
    kept = text.split(_SCISSORS, 1)[0].splitlines()
    lines = [line.rstrip() for line in kept if not line.startswith("#")]
    while lines and not lines[0]:
        del lines[0]
    return lines


def looks_imperative(subject: str) -> bool:
    """Return whether the first word is neither a past tense nor a gerund by its ending."""
    word = subject.split()[0].rstrip(":,;").lower()
    return word in _IMPERATIVES or not word.endswith(("ed", "ing"))


def subject_problems(subject: str) -> Iterator[str]:
    """Yield each rule that a subject breaks, with its remedy."""
    if len(subject) > MAX_SUBJECT:
        yield f"the subject has {len(subject)} characters (shorten it to {MAX_SUBJECT})"
    if subject.endswith("."):
        yield "the subject ends with a period (drop it)"
    if not looks_imperative(subject):
        yield f"the subject opens with {subject.split()[0]!r} (use the imperative, such as 'Add')"


def find_problems(text: str) -> list[str]:
    """Return each rule that a commit message breaks; empty when it keeps all of them."""
    lines = message_lines(text)
    if not lines:
        return ["the message is empty (write a subject)"]
    if lines[0].startswith(_GENERATED + _AUTOSQUASH):
        return []
    problems = list(subject_problems(lines[0]))
    if len(lines) > 1 and lines[1]:
        problems.append("the second line is not blank (put the body after a blank line)")
    return problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the message in the named file; return 0 if it keeps the rules, 1 if not, 2 if there is no such file."""
    names = sys.argv[1:] if arguments is None else arguments
    if len(names) != 1:
        print("usage: python scripts/check_commit_message.py FILE", file=sys.stderr)
        return 2
    try:
        text = Path(names[0]).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        print(f"{names[0]}: {error.strerror}. Name the file that holds the commit message.", file=sys.stderr)
        return 2
    problems = find_problems(text)
    if problems:
        print(f"commit message: {'; '.join(problems)}.", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
