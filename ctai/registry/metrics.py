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
        limits="that the weights never saw a chat template",
    ),
    MetricSpec(
        "canonical_use_findings", "==",
        meaning="no second owner of loading, templates, prompts, scoring, statistics or file writing in ctai or a plugin",
        remedy="use the owner that the finding names; docs/architecture.md lists them",
        limits="that the one owner does it right, or what code outside the package and its plugins does",
    ),
    MetricSpec(
        "special_tokens_findings", "==",
        meaning="tokenizing adds no special token, or only a BOS token allowed by name",
        remedy=f"{_PUBLISHED}; a model that needs its BOS token: --set model.allow_bos=true",
        limits="what the model was pretrained with",
    ),
    MetricSpec(
        "names_findings", "==",
        meaning="no name contains Instruct or Chat",
        remedy=f"the name indicates instruction tuning: {_PUBLISHED}",
        limits="anything about weights whose name says nothing",
    ),
    MetricSpec(
        "adapter_files_findings", "==",
        meaning="no adapter lies beside the weights",
        remedy="move the adapter out of the model's folder",
        limits="that no adapter was merged into the weights before",
    ),
    MetricSpec(
        "attached_adapter_findings", "==", meaning="no adapter is attached to the loaded model", remedy=_PUBLISHED,
        limits="that no adapter was merged into the weights before",
    ),
    MetricSpec(
        "weight_files_findings", "==",
        meaning="the weights are safetensors or GGUF, never pickle",
        remedy="convert the weights to safetensors or GGUF; pickles are never loaded",
        limits="that the weights are those which their publisher meant",
    ),
    MetricSpec(
        "instruct_weights_findings", "==",
        meaning="the sentinel suite as a whole finds no instruct or contaminated weights",
        remedy=f"the weights behave like tuned weights, whatever their name: {_PUBLISHED}",
        limits="that the pretraining data held no instructions",
    ),
    MetricSpec(
        "sentinel_completion_rate", ">=", threshold=0.2,
        meaning="plain facts are completed, as by a working language model",
        remedy="the model does not complete plain facts: check that weights and tokenizer belong together", is_key=True,
        limits="that the model knows more than plain facts",
    ),
    MetricSpec(
        "sentinel_control_token_mass", "<=", threshold=0.02,
        meaning="chat-control tokens have little probability where a chat model would expect them",
        remedy=f"the weights expect a chat: {_PUBLISHED}",
        limits="tuning without chat tokens",
    ),
    MetricSpec(
        "sentinel_followed_and_stopped_rate", "<=", threshold=0.4,
        meaning="bare instructions are not answered and ended, as instruct weights do",
        remedy=f"the weights answer bare instructions and stop: {_PUBLISHED}", is_key=True,
        limits="tuning in a prompt format; the next metric is about that",
    ),
    MetricSpec(
        "sentinel_prompt_format_stopped_rate", "<=", threshold=0.8, bound="lower",
        meaning="answers in a prompt format are not ended, as by weights tuned in that format",
        remedy=f"the weights were tuned in this prompt format, perhaps by a merged adapter: {_PUBLISHED}",
        limits="tuning in a format that is not among the tried ones",
    ),
)

INSTRUMENTS = (
    MetricSpec(
        "heldout_effective_items", ">=", "heldout.minimum",
        "items of the asked families, divided by the planned design effect of families",
        remedy="raise heldout.count, or add instruction families: items of one family resemble each other", is_key=True,
        limits="that the families stand for what users ask",
    ),
    MetricSpec(
        "heldout_power", ">=", "heldout.power", "statistical power of the test set for the lift of `heldout.lift_to_detect`",
        remedy="raise heldout.count",
        limits="power for a smaller lift, or where more items are discordant than preregistered",
    ),
    MetricSpec(
        "heldout_non_inferiority_power", ">=", "heldout.power",
        "statistical power of the test set to show that training loses no more than 0.05 to a rival",
        remedy="raise heldout.count, or add instruction families",
        limits="power where the arms differ on more items than preregistered",
    ),
    MetricSpec(
        "heldout_items_per_type", ">=", "heldout.minimum_per_type", "items of the type that has fewest, in asked families",
        remedy="raise heldout.count, or add instruction families of this type",
        limits="that a single type can be judged at the margin of all items",
    ),
    MetricSpec(
        "heldout_guarded_items", ">=", "heldout.minimum_guarded", "items of the guarded types safety and format together",
        remedy="raise heldout.count", may_not_apply=True,
        limits="safety beyond the families of the test set",
    ),
    MetricSpec(
        "heldout_guarded_families", ">=", "heldout.minimum_guarded_families",
        "families of the guarded types safety and format together",
        remedy="raise heldout.count, or add instruction families of these types", may_not_apply=True,
        limits="safety beyond the families of the test set",
    ),
    MetricSpec(
        "heldout_unseen_items", ">=", "heldout.minimum_unseen", "items of families held out whole",
        remedy="raise heldout.unseen_count", may_not_apply=True,
        limits="transfer itself; it is reported by gate evaluation and decides nothing",
    ),
    MetricSpec(
        "heldout_unseen_families", ">=", "heldout.minimum_unseen_families", "families held out whole",
        remedy="raise heldout.unseen_count", may_not_apply=True,
        limits="transfer itself; it is reported by gate evaluation and decides nothing",
    ),
    MetricSpec(
        "scorer_kappa", ">=", "instruments.scorer_kappa", "Cohen's kappa of scorers and labelled answers",
        remedy=_INSTRUMENT, bound="lower",
        limits="agreement on kinds of answers that have no labels",
    ),
    MetricSpec(
        "scorer_family_kappa", ">=", "instruments.scorer_family_kappa",
        "Cohen's kappa of the worst family; a family without enough labels fails",
        remedy=_INSTRUMENT,
        limits="a precise value: a family has few labels, so the point value counts",
    ),
    MetricSpec(
        "detector_precision", ">=", "instruments.detector_precision",
        "precision of the worst detector of faults on labelled responses",
        remedy=_INSTRUMENT,
        limits="precision on kinds of faults that have no labels",
    ),
    MetricSpec(
        "detector_recall", ">=", "instruments.detector_recall", "recall of the worst detector of faults on labelled responses",
        remedy=_INSTRUMENT,
        limits="recall on kinds of faults that have no labels",
    ),
    MetricSpec(
        "instruction_critic_balanced_accuracy", ">=", "critic.balanced_accuracy_floor",
        "balanced accuracy of the critic on labelled instructions, on this model",
        remedy="this model cannot judge instructions: use a larger base model", bound="lower",
        limits="that the critic is right on instructions of other kinds than the probes; 0.6 is little more than chance",
    ),
    MetricSpec(
        "pair_critic_balanced_accuracy", ">=", "critic.balanced_accuracy_floor",
        "balanced accuracy of the critic on labelled pairs, on this model",
        remedy="this model cannot judge responses: use a larger base model", bound="lower", is_key=True,
        limits="that the critic is right on the model's own samples; the purity in the QC summary is about those",
    ),
)

HEADROOM = (
    MetricSpec(
        "base_formatted_content", "<=", "headroom.max_base",
        "correct answers of the base to the training prompt, before anything is generated or trained",
        remedy=_HARDER, is_key=True,
        limits="what the base can do with examples in the prompt; the note has it",
    ),
    MetricSpec(
        "base_formatted_content_upper", "<", "headroom.max_base_upper", "the same rate", remedy=_HARDER, bound="upper",
        limits="what the base can do with examples in the prompt",
    ),
    MetricSpec(
        "base_formatted_content_limit", "<", threshold=0.6,
        meaning="the same rate; no setting relaxes this limit",
        remedy=_HARDER,
        limits="that training will close the gap",
    ),
    MetricSpec(
        "reference_content", ">", "headroom.min_reference",
        "correct answers of a reference instruct model to the training prompt, if `headroom.reference` names one",
        remedy="the test set is too hard, or its scorers refuse correct answers: read the answers of the reference in "
        "results/headroom/reference, or name another reference",
        bound="lower", may_not_apply=True,
        limits="that the base can learn what the reference can do",
    ),
)

QC_METRICS = (
    MetricSpec(
        "runaway_rate", "<", "qc.runaway", "responses that run on into other prompts or repeat themselves", remedy=_FORM,
        limits="run-ons of a form that no detector knows",
    ),
    MetricSpec(
        "token_limit_rate", "<", "qc.token_limit", "responses that reach the token limit",
        remedy="raise generation.response_sampling.max_new_tokens, or use shorter few-shot examples",
        limits="that shorter answers are complete",
    ),
    MetricSpec(
        "delimiter_rate", "<=", "qc.delimiter", "responses that contain the delimiter or a piece of it", remedy=_FORM,
        limits="other traces of the prompt format",
    ),
    MetricSpec(
        "truncated_rate", "<", "qc.truncated", "responses that are cut off",
        remedy=f"raise generation.response_sampling.max_new_tokens; {_FORM}",
        limits="truncation that looks like a complete sentence",
    ),
    MetricSpec(
        "median_tokens", "<", "qc.median_tokens", "median length of a response in tokens",
        remedy="use shorter few-shot examples: responses are as long as those in the prompt",
        limits="that short answers are good ones",
    ),
    MetricSpec(
        "instruction_acceptance", ">=", "qc.instruction_acceptance", "instructions that the critic accepts",
        remedy="raise generation.list_examples, lower generation.instruction_sampling.temperature",
        limits="that accepted instructions are good: the critic judges its own model's text",
    ),
    MetricSpec(
        "pair_acceptance", ">=", "qc.pair_acceptance", "pairs that the critic accepts",
        remedy="raise generation.few_shot_examples, lower generation.response_sampling.temperature", is_key=True,
        limits="that accepted pairs are right: the critic judges its own model's text",
    ),
    MetricSpec(
        "duplicate_rate", "<=", "qc.duplicates", "instructions that occur more than once",
        remedy=f"deduplication has a fault or was left out: {_REMAKE}",
        limits="diversity of meaning",
    ),
    MetricSpec(
        "heldout_overlap", "<=", "qc.overlap", "examples that overlap the test set",
        remedy=f"decontamination has a fault or was left out: {_REMAKE}",
        limits="paraphrases that share neither key nor words with a test item",
    ),
    MetricSpec(
        "kept_faults", "<=",
        meaning="kept examples with a fault that a detector finds",
        remedy="a detector or the filter has changed since the data was made: run the gates again",
        limits="faults that no detector knows",
    ),
)

KEPT_EXAMPLES = MetricSpec(
    "kept_examples", ">=", "pilot.count", "examples kept",
    remedy=f"{_VARIETY}; if one rejection reason dominates, address it first", is_preregistered=False, is_key=True,
    limits="that they are right; purity is reported beside",
)
UNIQUE_EXAMPLES = MetricSpec(
    "unique_examples", ">=", "scale.count", "examples after merging and deduplication",
    remedy="raise scale.oversample; if most are lost as duplicates, lower scale.count or vary the instructions",
    is_preregistered=False, is_key=True,
    limits="diversity of meaning",
)
CRITIC_GAIN = MetricSpec(
    "critic_gain", ">", "qc.critic_gain",
    "share of right pairs among those that the pair critic accepts, minus the share among all that it judges, where a family "
    "parses the instruction; does not apply with fewer than 10 wrong pairs to reject",
    remedy="the critic keeps wrong pairs as gladly as right ones: use a larger base model, or raise critic.confident_margin",
    bound="lower", may_not_apply=True,
    limits="the same gain on pairs that no family parses",
)
FAILED_SHARDS = MetricSpec(
    "failed_shards", "==",
    meaning="shards that miss a threshold by themselves",
    remedy="read the quality control of the named shards in the report",
    limits="more than the thresholds of each shard",
)

EVALUATION = (
    MetricSpec(
        "supervised_tokens", ">",
        meaning="supervised tokens of the training data",
        remedy="every pair was too long or empty: raise training.max_tokens",
        limits="that they teach the task",
    ),
    MetricSpec(
        "arm_difference", ">",
        meaning="the adapter changes the logits: the two arms are two models",
        remedy="the adapter was not applied or has learned nothing: raise training.learning_rate",
        limits="that the difference is an improvement",
    ),
    MetricSpec(
        "content_lift", ">",
        meaning="correct answers of SFT minus those of the zero-shot base; learning to stop does not count",
        remedy=_LEARN, is_key=True,
        limits="a gain over examples in the prompt; few_shot_non_inferiority and the claims are about that",
    ),
    MetricSpec(
        "content_p_value", "<", "evaluation.alpha",
        "p-value of a gain on content, the larger of McNemar's test and its form clustered by family; the n-th comparison on "
        "the test set and base has alpha * 6 / (pi^2 n^2)",
        remedy=f"{_LEARN}; a small gain needs a larger heldout.count to show", is_key=True,
        limits="the size of the gain, or a gain on families that are not in the test set",
    ),
    MetricSpec(
        "lift_interval_width", "<=", "evaluation.max_interval_width",
        "width of the 95% interval of the lift, clustered by family", remedy="raise heldout.count",
        limits="that the lift is large",
    ),
    MetricSpec(
        "stop_rate", ">=", "evaluation.min_stop_rate", "answers of SFT that it ends by itself",
        remedy=_STOP, bound="lower", is_key=True,
        limits="that the model stops after answers longer than the token budget of the test",
    ),
    MetricSpec(
        "strict_p_value", "<", "evaluation.alpha",
        "p-value of a gain of strict success (correct, and ended by the model) over the base with a stop rule",
        remedy=_STOP,
        limits="a gain in knowledge: a rule that stops the base would give part of it",
    ),
    MetricSpec(
        "strict_share", ">=", "evaluation.min_strict_share", "strict successes among the correct answers of SFT", remedy=_STOP,
        limits="that the other answers are wrong for lack of stopping only",
    ),
    MetricSpec(
        "few_shot_non_inferiority", ">=", "evaluation.non_inferiority_limit",
        "correct answers of SFT minus those of the few-shot base",
        remedy=f"examples in the prompt do better than this training: {_LEARN}", bound="lower", is_key=True,
        limits="superiority: the claim says which of the two was shown",
    ),
    MetricSpec(
        "guarded_non_inferiority", ">=", "evaluation.non_inferiority_limit",
        "correct answers of SFT minus those of the few-shot base, on safety and format items together",
        remedy=_REGRESSION, bound="lower", may_not_apply=True,
        limits="safety beyond the families of the test set, or of each type alone",
    ),
    MetricSpec(
        "type_regressions", "==",
        meaning="types on which SFT is surely worse than the few-shot base, after Benjamini-Hochberg (`evaluation.fdr`)",
        remedy=_REGRESSION,
        limits="the absence of a small loss on one type: few items of a type cannot show it",
    ),
)
