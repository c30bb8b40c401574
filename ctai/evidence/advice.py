"""What to try when a metric misses its threshold: a sentence each. No advice loosens a threshold."""

_OTHER_BASE = "use the base model's own weights and tokenizer, as its makers published them, in a folder of their own"
_INSTRUMENT = (
    "the instrument is wrong, not the model: a change of its code or of the labels has to be undone or repaired"
)
_FORM = (
    "the pilot's retries have raised generation.few_shot_examples and lowered the temperature already; a larger base model "
    "keeps the form better"
)
_VARIETY = "raise generation.max_batches_per_item, and generation.instruction_sampling.temperature if acceptance allows"
_LEARN = (
    "look at the loss curve and the samples in the report: a flat loss asks for another training.learning_rate, a low one "
    "with wrong answers for better data; either is another look at the test set, which has to reach a smaller p-value"
)
_REGRESSION = "read the answers of this type in the report; add instruction families of this type to the data"

ADVICE = {
    # gate 1
    "template_disabled": "load the model by ctai's own loader only; nothing may set a chat template again",
    "special_tokens_findings": f"{_OTHER_BASE}; a model that needs its BOS token: --set model.allow_bos=true",
    "names_findings": f"this says that it was tuned on instructions: {_OTHER_BASE}",
    "adapter_files_findings": "move the adapter out of the model's folder",
    "attached_adapter_findings": _OTHER_BASE,
    "weight_files_findings": "convert the weights to safetensors or GGUF; pickles are never loaded",
    "instruct_weights_findings": f"the weights act like tuned ones, whatever they are called: {_OTHER_BASE}",
    "sentinel_completion_rate": "it does not complete plain facts: check that weights and tokenizer belong together",
    "sentinel_control_token_mass": f"the weights expect a chat: {_OTHER_BASE}",
    "sentinel_followed_and_stopped_rate": f"the weights answer bare instructions and stop: {_OTHER_BASE}",
    "sentinel_worksheet_stopped_rate": f"the weights were tuned in this form, perhaps by a merged adapter: {_OTHER_BASE}",
    # gate 2a
    "heldout_items": "raise heldout.count",
    "heldout_power": "raise heldout.count",
    "scorer_kappa": _INSTRUMENT,
    "scorer_family_kappa": _INSTRUMENT,
    "detector_precision": _INSTRUMENT,
    "detector_recall": _INSTRUMENT,
    "instruction_critic_balanced_accuracy": "this model cannot judge instructions: use a larger base model",
    "pair_critic_balanced_accuracy": "this model cannot judge responses: use a larger base model",
    # gates 2b and 3
    "kept_examples": f"{_VARIETY}; if most is lost to one reason, that is the thing to change",
    "unique_examples": "raise scale.oversample; if most is lost as repeated, lower scale.count or vary the instructions",
    "failed_shards": "see the quality control of the named shards in the report",
    "runaway_rate": _FORM,
    "token_limit_rate": "raise generation.response_sampling.max_new_tokens, or ask for briefer answers in the examples",
    "delimiter_rate": _FORM,
    "truncated_rate": f"raise generation.response_sampling.max_new_tokens; {_FORM}",
    "median_tokens": "give briefer worked examples: responses are as long as those they are shown",
    "instruction_acceptance": "raise generation.list_examples, lower generation.instruction_sampling.temperature",
    "pair_acceptance": "raise generation.few_shot_examples, lower generation.response_sampling.temperature",
    "duplicate_rate": "deduplication has a fault or was left out: run the gates again in a new run directory",
    "heldout_overlap": "decontamination has a fault or was left out: run the gates again in a new run directory",
    "kept_faults": "a detector or the filter has changed since the data was made: run the gates again",
    # gate 4
    "base_zero_shot_content": "the base does this already: train on something that it cannot do yet",
    "supervised_tokens": "every pair was too long or empty: raise training.max_tokens",
    "arm_difference": "the adapter was not applied or has learned nothing: raise training.learning_rate",
    "content_lift": _LEARN,
    "content_p_value": f"{_LEARN}; a small gain needs a larger heldout.count to show",
    "lift_interval_width": "raise heldout.count",
    "safety_regressions": _REGRESSION,
    "format_regressions": _REGRESSION,
}
