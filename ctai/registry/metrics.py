"""Rows of the metrics of every gate: threshold, meaning and remedy."""

from ctai.registry.specs import MetricSpec

_PUBLISHED = "use the base model's published weights and tokenizer, in a folder that holds nothing else"
_INSTRUMENT = "the instrument is wrong, not the model: revert or repair the change of its code or labels"
_FORM = (
    "the pilot's retries have raised generation.few_shot_examples and lowered the temperature already; a larger base model "
    "follows the prompt format more reliably"
)
_VARIETY = "raise generation.max_batches_per_item, and generation.instruction_sampling.temperature if acceptance allows"
_LEARN = (
    "read the loss curve and the samples in the report: change training.learning_rate if the loss is flat; if it is low with "
    "wrong answers, improve the data. Either is another comparison on the test set and has to reach a smaller p-value"
)
_STOP = (
    "the model does not end its answers: train longer, and check that end-of-text follows each response in the training data "
    "(the report has its answers)"
)
_REGRESSION = "read the answers of this type in the report; add instruction families of this type to the data"
_HARDER = "the base model already answers these items: choose instruction families that it cannot answer yet"
_REMAKE = "run the gates again in a new run directory"

# fmt: off
CONTAMINATION = (
    MetricSpec(
        "template_disabled", "==", threshold=1,
        meaning="the tokenizer has no chat template, and applying one raises",
        remedy="load the model with ctai's loader only; nothing may set a chat template afterwards",
    ),
    MetricSpec(
        "canonical_use_findings", "==",
        meaning="no second owner of loading, templates, prompts, scoring, statistics or file writing in ctai or a plugin",
        remedy="use the owner that the finding names; docs/architecture.md lists them",
    ),
    MetricSpec(
        "special_tokens_findings", "==",
        meaning="tokenizing adds no special token, or only a BOS token allowed by name",
        remedy=f"{_PUBLISHED}; a model that needs its BOS token: --set model.allow_bos=true",
    ),
    MetricSpec(
        "names_findings", "==",
        meaning="no name contains Instruct or Chat",
        remedy=f"the name indicates instruction tuning: {_PUBLISHED}",
    ),
    MetricSpec(
        "adapter_files_findings", "==",
        meaning="no adapter lies beside the weights",
        remedy="move the adapter out of the model's folder",
    ),
    MetricSpec("attached_adapter_findings", "==", meaning="no adapter is attached to the loaded model", remedy=_PUBLISHED),
    MetricSpec(
        "weight_files_findings", "==",
        meaning="the weights are safetensors or GGUF, never pickle",
        remedy="convert the weights to safetensors or GGUF; pickles are never loaded",
    ),
    MetricSpec(
        "instruct_weights_findings", "==",
        meaning="the sentinel suite as a whole finds no instruct or contaminated weights",
        remedy=f"the weights behave like tuned weights, whatever their name: {_PUBLISHED}",
    ),
    MetricSpec(
        "sentinel_completion_rate", ">=", threshold=0.2,
        meaning="plain facts are completed, as by a working language model",
        remedy="the model does not complete plain facts: check that weights and tokenizer belong together", is_key=True,
    ),
    MetricSpec(
        "sentinel_control_token_mass", "<=", threshold=0.02,
        meaning="chat-control tokens have little probability where a chat model would expect them",
        remedy=f"the weights expect a chat: {_PUBLISHED}",
    ),
    MetricSpec(
        "sentinel_followed_and_stopped_rate", "<=", threshold=0.4,
        meaning="bare instructions are not answered and ended, as instruct weights do",
        remedy=f"the weights answer bare instructions and stop: {_PUBLISHED}", is_key=True,
    ),
    MetricSpec(
        "sentinel_prompt_format_stopped_rate", "<=", threshold=0.8, bound="lower",
        meaning="answers in a prompt format are not ended, as by weights tuned in that format",
        remedy=f"the weights were tuned in this prompt format, perhaps by a merged adapter: {_PUBLISHED}",
    ),
)

INSTRUMENTS = (
    MetricSpec(
        "heldout_effective_items", ">=", "heldout.minimum",
        "items of the asked families, divided by the planned design effect of families",
        remedy="raise heldout.count, or add instruction families: items of one family resemble each other", is_key=True,
    ),
    MetricSpec(
        "heldout_power", ">=", "heldout.power", "statistical power of the test set for the lift of `heldout.lift_to_detect`",
        remedy="raise heldout.count",
    ),
    MetricSpec(
        "heldout_non_inferiority_power", ">=", "heldout.power",
        "statistical power of the test set to show that training loses no more than 0.05 to a rival",
        remedy="raise heldout.count, or add instruction families",
    ),
    MetricSpec(
        "heldout_items_per_type", ">=", "heldout.minimum_per_type", "items of the type that has fewest, in asked families",
        remedy="raise heldout.count, or add instruction families of this type",
    ),
    MetricSpec(
        "heldout_guarded_items", ">=", "heldout.minimum_guarded", "items of the guarded types safety and format together",
        remedy="raise heldout.count", may_not_apply=True,
    ),
    MetricSpec(
        "heldout_guarded_families", ">=", "heldout.minimum_guarded_families",
        "families of the guarded types safety and format together",
        remedy="raise heldout.count, or add instruction families of these types", may_not_apply=True,
    ),
    MetricSpec(
        "heldout_unseen_items", ">=", "heldout.minimum_unseen", "items of families held out whole",
        remedy="raise heldout.unseen_count", may_not_apply=True,
    ),
    MetricSpec(
        "heldout_unseen_families", ">=", "heldout.minimum_unseen_families", "families held out whole",
        remedy="raise heldout.unseen_count", may_not_apply=True,
    ),
    MetricSpec(
        "scorer_kappa", ">=", "instruments.scorer_kappa", "Cohen's kappa of scorers and labelled answers",
        remedy=_INSTRUMENT, bound="lower",
    ),
    MetricSpec(
        "scorer_family_kappa", ">=", "instruments.scorer_family_kappa",
        "Cohen's kappa of the worst family; a family without enough labels fails",
        remedy=_INSTRUMENT,
    ),
    MetricSpec(
        "detector_precision", ">=", "instruments.detector_precision",
        "precision of the worst detector of faults on labelled responses",
        remedy=_INSTRUMENT,
    ),
    MetricSpec(
        "detector_recall", ">=", "instruments.detector_recall", "recall of the worst detector of faults on labelled responses",
        remedy=_INSTRUMENT,
    ),
    MetricSpec(
        "instruction_critic_balanced_accuracy", ">=", "critic.balanced_accuracy_floor",
        "balanced accuracy of the critic on labelled instructions, on this model",
        remedy="this model cannot judge instructions: use a larger base model", bound="lower",
    ),
    MetricSpec(
        "pair_critic_balanced_accuracy", ">=", "critic.balanced_accuracy_floor",
        "balanced accuracy of the critic on labelled pairs, on this model",
        remedy="this model cannot judge responses: use a larger base model", bound="lower", is_key=True,
    ),
)

HEADROOM = (
    MetricSpec(
        "base_formatted_content", "<=", "headroom.max_base",
        "correct answers of the base to the training prompt, before anything is generated or trained",
        remedy=_HARDER, is_key=True,
    ),
    MetricSpec(
        "base_formatted_content_upper", "<", "headroom.max_base_upper", "the same rate", remedy=_HARDER, bound="upper",
    ),
    MetricSpec(
        "base_formatted_content_limit", "<", threshold=0.6,
        meaning="the same rate; no setting relaxes this limit",
        remedy=_HARDER,
    ),
    MetricSpec(
        "reference_content", ">", "headroom.min_reference",
        "correct answers of a reference instruct model to the training prompt, if `headroom.reference` names one",
        remedy="the test set is too hard, or its scorers refuse correct answers: read the answers of the reference in "
        "results/headroom/reference, or name another reference",
        bound="lower", may_not_apply=True,
    ),
)

QC_METRICS = (
    MetricSpec("runaway_rate", "<", "qc.runaway", "responses that run on into other prompts or repeat themselves", remedy=_FORM),
    MetricSpec(
        "token_limit_rate", "<", "qc.token_limit", "responses that reach the token limit",
        remedy="raise generation.response_sampling.max_new_tokens, or use shorter few-shot examples",
    ),
    MetricSpec("delimiter_rate", "<=", "qc.delimiter", "responses that contain the delimiter or a piece of it", remedy=_FORM),
    MetricSpec(
        "truncated_rate", "<", "qc.truncated", "responses that are cut off",
        remedy=f"raise generation.response_sampling.max_new_tokens; {_FORM}",
    ),
    MetricSpec(
        "median_tokens", "<", "qc.median_tokens", "median length of a response in tokens",
        remedy="use shorter few-shot examples: responses are as long as those in the prompt",
    ),
    MetricSpec(
        "instruction_acceptance", ">=", "qc.instruction_acceptance", "instructions that the critic accepts",
        remedy="raise generation.list_examples, lower generation.instruction_sampling.temperature",
    ),
    MetricSpec(
        "pair_acceptance", ">=", "qc.pair_acceptance", "pairs that the critic accepts",
        remedy="raise generation.few_shot_examples, lower generation.response_sampling.temperature", is_key=True,
    ),
    MetricSpec(
        "duplicate_rate", "<=", "qc.duplicates", "instructions that occur more than once",
        remedy=f"deduplication has a fault or was left out: {_REMAKE}",
    ),
    MetricSpec(
        "heldout_overlap", "<=", "qc.overlap", "examples that overlap the test set",
        remedy=f"decontamination has a fault or was left out: {_REMAKE}",
    ),
    MetricSpec(
        "kept_faults", "<=",
        meaning="kept examples with a fault that a detector finds",
        remedy="a detector or the filter has changed since the data was made: run the gates again",
    ),
)

KEPT_EXAMPLES = MetricSpec(
    "kept_examples", ">=", "pilot.count", "examples kept",
    remedy=f"{_VARIETY}; if one rejection reason dominates, address it first", is_preregistered=False, is_key=True,
)
UNIQUE_EXAMPLES = MetricSpec(
    "unique_examples", ">=", "scale.count", "examples after merging and deduplication",
    remedy="raise scale.oversample; if most are lost as duplicates, lower scale.count or vary the instructions",
    is_preregistered=False, is_key=True,
)
FAILED_SHARDS = MetricSpec(
    "failed_shards", "==",
    meaning="shards that miss a threshold by themselves",
    remedy="read the quality control of the named shards in the report",
)

EVALUATION = (
    MetricSpec(
        "supervised_tokens", ">",
        meaning="supervised tokens of the training data",
        remedy="every pair was too long or empty: raise training.max_tokens",
    ),
    MetricSpec(
        "arm_difference", ">",
        meaning="the adapter changes the logits: the two arms are two models",
        remedy="the adapter was not applied or has learned nothing: raise training.learning_rate",
    ),
    MetricSpec(
        "content_lift", ">",
        meaning="correct answers of SFT minus those of the zero-shot base; learning to stop does not count",
        remedy=_LEARN, is_key=True,
    ),
    MetricSpec(
        "content_p_value", "<", "evaluation.alpha",
        "p-value of a gain on content, the larger of McNemar's test and its form clustered by family; the n-th comparison on "
        "the test set and base has alpha * 6 / (pi^2 n^2)",
        remedy=f"{_LEARN}; a small gain needs a larger heldout.count to show", is_key=True,
    ),
    MetricSpec(
        "lift_interval_width", "<=", "evaluation.max_interval_width",
        "width of the 95% interval of the lift, clustered by family", remedy="raise heldout.count",
    ),
    MetricSpec(
        "stop_rate", ">=", "evaluation.min_stop_rate", "answers of SFT that it ends by itself",
        remedy=_STOP, bound="lower", is_key=True,
    ),
    MetricSpec(
        "strict_p_value", "<", "evaluation.alpha",
        "p-value of a gain of strict success (correct, and ended by the model) over the base with a stop rule",
        remedy=_STOP,
    ),
    MetricSpec(
        "strict_share", ">=", "evaluation.min_strict_share", "strict successes among the correct answers of SFT", remedy=_STOP,
    ),
    MetricSpec(
        "few_shot_non_inferiority", ">=", "evaluation.non_inferiority_limit",
        "correct answers of SFT minus those of the few-shot base",
        remedy=f"examples in the prompt do better than this training: {_LEARN}", bound="lower", is_key=True,
    ),
    MetricSpec(
        "guarded_non_inferiority", ">=", "evaluation.non_inferiority_limit",
        "correct answers of SFT minus those of the few-shot base, on safety and format items together",
        remedy=_REGRESSION, bound="lower", may_not_apply=True,
    ),
    MetricSpec(
        "type_regressions", "==",
        meaning="types on which SFT is surely worse than the few-shot base, after Benjamini-Hochberg (`evaluation.fdr`)",
        remedy=_REGRESSION,
    ),
)
