"""Measurements of the embedded base model in the exact prompt formats of ctai.

Owns the order of the measurements and their sizes. Every share has its counts and a Wilson 95% interval. Decoding is greedy
unless noted.
"""

from pathlib import Path

from scripts.build_embedded.measure.critics import (
    judge_own,
    measure_harmful,
    measure_heldout_critic,
    measure_own_critics,
    measure_probes,
)
from scripts.build_embedded.measure.generation import (
    answer_own,
    measure_instructions,
    measure_own,
    sample_instructions,
)
from scripts.build_embedded.measure.knowledge import (
    answer_few_shot,
    draw_test_set,
    measure_bare,
    measure_control_tokens,
    measure_facts,
    measure_formats,
    measure_test_set,
)
from scripts.build_embedded.measure.loop import measure_loop
from scripts.build_embedded.measure.rates import Metrics
from scripts.build_embedded.measure.subject import Quantization, Subject

__all__ = ["Metrics", "Quantization", "measure"]

LISTED, ANSWERED = 8, 5  # sampled instructions, and those answered at most, for each item of the other measurements


def measure(folder: Path, quantization: Quantization, n: int = 300, loop: bool = True, seed: int = 0) -> Metrics:
    """Return all metrics of the model card for one precision.

    Args:
        folder: model folder.
        quantization: precision.
        n: items of the measurements that do not use the whole test set.
        loop: train and measure what follows training.
        seed: of every draw but the test set.
    """
    subject = Subject.load(folder, quantization, seed)
    questions = draw_test_set()
    asked = questions["held-out"]
    splits = [answer_few_shot(subject, name, items) for name, items in questions.items()]
    instructions = sample_instructions(subject, LISTED * n)
    pairs = answer_own(subject, instructions, ANSWERED * n)
    judged = judge_own(subject, pairs)
    result = {**measure_test_set(asked), **measure_facts(subject, n), **measure_bare(subject, n)}
    for split in splits:
        result |= measure_formats(subject, split)
    result |= {**measure_instructions(instructions), **measure_own(subject, pairs), **measure_own_critics(judged)}
    result |= {**measure_heldout_critic(subject, asked), **measure_probes(subject, n), **measure_harmful(subject, n)}
    result |= measure_control_tokens(subject, asked[:n])
    return result | measure_loop(subject, judged, splits) if loop else result
