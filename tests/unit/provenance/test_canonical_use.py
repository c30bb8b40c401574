"""The check for second owners: plants of every concern are found, honest code passes, the whole repository is clean."""

import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from ctai.provenance.canonical_use import (
    CONCERNS,
    Source,
    canonical_use_findings,
    find_violations,
    package_sources,
    plugin_sources,
    stale_allowances,
    tree_sources,
)
from ctai.provenance.canonical_use.concerns import covers
from ctai.provenance.canonical_use.syntax import ParsedModule

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[3]

PLANTS = {
    "model loading": [
        "model = AutoModelForCausalLM.from_pretrained('x')",
        "load = AutoModelForCausalLM.from_pretrained\nmodel = load('x')",
        "model = getattr(transformers.AutoModel, 'from_pretrained')('x')",
        "model = getattr(cls, 'from_' + 'pretrained')('x')",
        "model = operator.methodcaller('from_pretrained', 'x')(AutoModel)",
        "load = AutoModel.__dict__['from_pretrained']",
        "state = torch.load('x')",
        "import torch as t\nstate = t.load('x')",
        "from torch import load as read\nstate = read('x')",
        "import torch\nload = torch.load\nstate = load('x')",
        "import importlib\nstate = importlib.import_module('torch').load('x')",
        "t = __import__('torch')\nstate = getattr(t, 'load')('x')",
        "model = torch.jit.load('x')",
        "from transformers import pipeline\nwrite = pipeline('text-generation', model=path)",
        "write = pipeline('text-generation', model=path)",
        "from transformers.pipelines import pipeline as make\nwrite = make('text-generation', path)",
        "write = hf.pipeline(task='text-generation', tokenizer=tok)",
        "import transformers as hf\nwrite = hf.pipeline(task, path)",
        "from transformers import *\nwrite = pipeline(task, path)",
        "model = AutoModelForCausalLM.from_config(config)\nmodel.load_state_dict(load_file(p))",
        "from safetensors.torch import load_file\nweights = load_file(p)",
        "import safetensors.torch\nsafetensors.torch.load_model(model, p)",
        "model = LlamaForCausalLM(config)\nmodel.load_state_dict(weights)",
        "optimizer = AutoModel.from_config(config)\noptimizer.load_state_dict(weights)",
        "with safe_open(p, framework='pt') as f:\n    weights = {k: f.get_tensor(k) for k in f.keys()}",
        "from vllm import LLM\nllm = LLM(p)",
        "llm = LLM(p)",
        "import llama_cpp\nllm = llama_cpp.Llama(model_path=p)",
        "from ctransformers import AutoModelForCausalLM as M",
        "def f():\n    from mlx_lm import load",
        "engine = importlib.import_module('vllm')",
        "import pickle\nmodel = pickle.load(file)",
        "reply = requests.post(f'{host}/v1/completions', json=body)",
        "tokenizer = Tokenizer.from_file(p)",
        "from tokenizers import Tokenizer as T\ntokenizer = T.from_file(p)",
        "tokenizer = PreTrainedTokenizerFast(tokenizer_file=p)",
        "with safe_open(p, framework='pt') as f:\n    weight = f.get_slice('w')[:]",
    ],
    "chat template": [
        "tokenizer.chat_template = '{{ messages }}'",
        "x.chat_template: str = ''",
        "a, x.chat_template = 1, t",
        "setattr(x, 'chat_template', None)",
        "object.__setattr__(x, 'apply_chat_template', f)",
        "config['chat_template'] = text",
        "x.__dict__['chat_template'] = text",
        "tokenizer = Tokenizer(vocabulary, chat_template=text)",
        "json_text({'chat_template': text})",
        "text = tok.apply_chat_template(m)",
        "text = tok.apply_chat_template(m, tokenize=False, add_generation_prompt=True)",
        "apply = tok.apply_chat_template\ntext = apply(m)",
        "text = getattr(tok, 'apply_chat_template')(m)",
        "from transformers.utils.chat_template_utils import render_jinja_template",
        "text = Template(source).render(messages=m)",
        "m = [{'role': 'user', 'content': x}]",
        "m = [dict(role='system', content=x)]",
        "m = [{'role': role, 'content': text, 'name': n} for role, text in turns]",
    ],
    "prompt text": [
        "p = f'Instruction: {x}\\nResponse:'",
        "p = f'Q: {x}\\nA:'",
        "p = 'INSTRUCTION\\n' + x + '\\nLabel'",
        "p = 'INSTRUCTION\\n'",
        "p = 'Instruction: ' + x",
        "p = 'Instruction: {}\\nResponse:'.format(x)",
        "p = '{}: {}\\n{}:'.format('Instruction', x, 'Response')",
        "p = 'Question: %s\\nAnswer:' % x",
        "p = '%s: %s\\n%s:' % ('Question', x, 'Answer')",
        "p = '\\n'.join(['Q: ' + x, 'A:'])",
        "p = '\\n'.join((f'Question: {x}', 'Answer:'))",
        "p = str.join('\\n', ['Q: ' + x, 'A:'])",
        "p = '\\n\\n'.join(f'Q: {q}\\nA: {a}' for q, a in pairs)",
        "HEAD = 'Instruction'\np = f'{HEAD}: {x}\\n'",
        "NL = '\\n'\np = f'Question: {x}{NL}Answer:'",
        "p = 'instruction: '.capitalize() + x",
        "p = x + '\\n' * 2 + 'Answer:'",
        "p = ('Q: ' if first else '') + x + '\\nA:'",
        "lines = []\nlines.append(f'Q: {x}')\nlines.append('A:')",
        "p = 'User: hello\\nAssistant:'",
        "p = textwrap.dedent('''\n    ### Instruction:\n    {x}\n    ''')",
        "p = string.Template('Input: $x\\nOutput:').substitute(x=x)",
        "def f(x):\n    '''Docstring.'''\n    return f'QUESTION: {x}\\nANSWER:'",
        "p = f'<instruction>{x}</instruction><response>'",
        "p = f'<|im_start|>user\\n{x}<|im_end|>'",
        "p = '[INST] ' + x + ' [/INST]'",
        "p = b'Instruction: ' + x",
        "p = 'Instruct: ' + x + '\\nAnswer:'",
        "p = ' '.join(['Is it good?', x, 'Answer A or B:'])",
        "p = f'Is this response good?\\n{x}\\nAnswer (A/B):'",
        "p = f'Label each pair.\\nA: good\\nB: bad\\n\\n{x}'",
        "p = text\np += '\\nResponse:'",
    ],
    "label scoring": [
        "values = engine.token_logprobs(prompts, ids)",
        "score = operator.attrgetter('token_logprobs')(engine)",
        "score = getattr(engine, 'token_logprobs')\nvalues = score(prompts, ids)",
        "good = label == LABEL_GOOD",
        "from ctai import prompts\ngood = label == prompts.LABEL_GOOD",
        "from ctai.prompts import LABEL_BAD as wrong\nbad = label == wrong",
        "values = logits[:, -1].log_softmax(-1)",
        "values = model(ids).logits[:, -1].log_softmax(-1)[:, labels]",
        "values = F.log_softmax(out[0][:, -1, :], dim=-1)",
        "values = torch.log_softmax(model(ids).logits[0, -1], -1)",
        "last = scores[:, -1]\nvalues = last.log_softmax(-1)",
        "def f(out):\n    last = out[:, -1]\n    kept = last.float()\n    return torch.softmax(kept, -1)",
        "values = model(ids).logits.log_softmax(-1)[0, -1]",
        "p = F.softmax(x, -1)\nvalues = p[:, -1]",
        "values = nn.LogSoftmax(-1)(out[:, -1])",
        "is_good = logits[0, -1, a] > logits[0, -1, b]",
        "last = output['logits'][..., -1, :]",
        "last = logits[:, -1:, :]",
        "last = logits[rows, lengths - 1]",
        "row = model(ids).logits.squeeze(0)[-1]",
        "def f(out):\n    every = out.logits\n    return every[0, -1]",
        "last = output.logits.select(1, -1)",
        "values = torch.stack([row[0, -1] for row in rows]).double().log_softmax(-1)[:, ids]",
        "out = model.generate(ids, max_new_tokens=1, output_scores=True)",
        "out = model(ids, logits_to_keep=1)",
        "a = tokenizer.encode(' A')[0]",
        "from torch.nn.functional import log_softmax as normalize\nvalues = normalize(out[:, -1], -1)",
    ],
    "statistics": [
        "from scipy.stats import binomtest",
        "import statsmodels.api as sm",
        "def f():\n    import sklearn.metrics",
        "from statistics import median",
        "stats = importlib.import_module('scipy.stats')",
        "low = np.quantile(values, 0.05)",
        "middle = np.median(values)",
        "high = numpy.percentile(values, 95)",
        "import numpy as n\nlow = n.nanquantile(v, 0.05)",
        "from numpy import quantile as cut\nlow = cut(v, 0.05)",
        "low = frame.quantile(0.05)",
        "middle = tensor.median()",
        "means = [np.random.choice(outcomes, len(outcomes)).mean() for _ in range(1000)]",
        "for _ in range(1000):\n    means.append(rng.choice(outcomes, size=n, replace=True).mean())",
        "sample = random.choices(outcomes, k=len(outcomes))",
        "picks = rng.integers(0, n, size=(1000, n))",
        "picks = rng.integers(0, len(x), len(x))",
        "means = [sum(random.choice(x) for _ in x) / len(x) for _ in range(1000)]",
        "means = [sum(x[random.randrange(n)] for _ in range(n)) / n for _ in range(1000)]",
        "middle = sorted(x)[len(x) // 2]",
        "means = sorted(means)\nlow = means[int(0.025 * len(means))]",
        "half = math.sqrt(p * (1 - p) / n)",
        "half = z * (p * (1 - p) / n) ** 0.5",
        "half = np.sqrt(k / n * (1 - k / n) / n)",
        "def wilson(k, n, z):\n    p = k / n\n    return z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)",
        "p, z = k / n, 1.96",
        "q = 1 - p\nhalf = math.sqrt(p * q / n)",
        "def f(p, n):\n    variance = p * (1 - p) / n\n    return variance ** (1 / 2)",
        "from math import sqrt as root\nhalf = root((p - p * p) / n)",
        "error = math.sqrt(k * (n - k) / n ** 3)",
        "half = pow(p * (1.0 - p) / n, 0.5)",
        "half = 1.96 * deviation",
        "half = 1.959963984540054 * deviation",
        "def interval(k, n, z=1.96):\n    return k / n",
        "Z_95 = 1.645",
        "error = values.std() / math.sqrt(n)",
        "error = np.std(values, ddof=1) / n ** 0.5",
        "variance = sum((x - mean) ** 2 for x in values) / (len(values) - 1)",
        "kappa = (agreed - chance) / (1 - chance)",
        "p = 0.5 * math.erfc(z / 2)",
        "p = sum(math.comb(n, i) for i in range(k)) * 2 / 2 ** n",
        "h = 2 * math.asin(math.sqrt(a)) - 2 * math.asin(math.sqrt(b))",
        "chi = (b - c) ** 2 / (b + c)",
        "chi = (abs(b - c) - 1) ** 2 / (b + c)",
    ],
    "file writing": [
        "open(p, 'w').write(x)",
        "with open(p, mode='a', encoding='utf-8') as f:\n    f.write(x)",
        "f = open(p, 'wb')",
        "f = open(p, 'r+')",
        "f = path.open('x')",
        "with (folder / 'log').open(mode='a') as f:\n    pass",
        "MODE = 'w'\nf = open(p, MODE)",
        "f = open(p, 'a' if resume else 'w')",
        "import io\nf = io.open(p, 'w')",
        "import gzip\nf = gzip.open(p, 'wt')",
        "path.write_text(x)",
        "from builtins import open as o\nf = o(p, 'w')",
        "opener = open\nf = opener(p, 'w')",
        "opener = functools.partial(open, mode='w')",
        "Path(p).write_bytes(x)",
        "write = path.write_text\nwrite(x)",
        "json.dump(x, f)",
        "from json import dump as save\nsave(x, f)",
        "torch.save(x, p)",
        "np.savez(p, x=x)",
        "from safetensors.torch import save_file\nsave_file(x, p)",
        "model.save_pretrained(folder)",
        "import shutil\nshutil.copy(a, b)",
        "os.replace(a, b)",
        "archive = zipfile.ZipFile(p, 'w')",
        "fd = os.open(p, os.O_WRONLY | os.O_CREAT)",
        "frame.to_csv(p)",
    ],
}

HONEST = [
    # names that only look like a load
    "model = CleanModelLoader('x').load()",
    "state = json.load(file)",
    "state = checkpoints.load(folder)",
    "optimizer.load_state_dict(checkpoint.optimizer)",
    "self._scheduler.load_state_dict(state)",
    "from safetensors import safe_open\nwith safe_open(p, framework='pt') as f:\n    shape = f.get_slice('w').get_shape()",
    "guide = 'load it with `AutoModelForCausalLM.from_pretrained(\"merged\")`'",
    "pipeline = Pipeline(stages)\npipeline.run()",
    "from ctai.pipeline.run import Run",
    "config = LlamaConfig(hidden_size=8)\nmodel = LlamaForCausalLM(config)",
    "model = AutoModelForCausalLM.from_config(config)",  # no weights
    # templates that are read, not used
    "template = getattr(tokenizer, 'chat_template', None) or ''",
    "disabled = tokenizer.chat_template is None",
    "text = page.render(title=title)",
    "row = {'role': 'owner', 'name': name}",
    # text that frames no prompt
    '"""Instruction: {x}\\nResponse:"""',
    "def f():\n    '''Write `Instruction: ...`.\n\n    Response:\n        a text.\n    '''",
    "# Instruction: a comment\nx = 1",
    "message = f'instruction {i} of {n}: {text}'",
    "title = f'Response lengths in tokens, of {n} responses'",
    "rows = [('Instructions accepted', n), ('Responses', m)]",
    "is_new = line.startswith('Instruction:')",
    "is_label = line == 'Label:'",
    "head, _, tail = text.partition('\\nResponse:')",
    "pattern = re.compile(r'(?m)^Instruction:')",
    "tokens = ('<|im_start|>', '[INST]', '<|user|>')",
    "line = f'Note: {x}\\nSee also: {y}'",
    "line = f'name: {x}\\nvalue: {y}'",
    "table = '| A | B |\\n| --- | --- |'",
    "text = 'Drive A: is full'",
    "help = 'input file; output goes to stdout'",
    "note = 'gate A or B of the report'",
    # logits that are not scored
    "chosen = logits.argmax(-1)",
    "size = logits.shape[-1]",
    "loss = cross_entropy(output.logits[:, :-1].float(), targets)",
    "weights = (scores + mask).softmax(-1)",
    "values = (logits / temperature).softmax(-1)",
    "last = rows[-1]",
    "def f(x):\n    row = x[:, -1]\n    return row\n\n\ndef g(row):\n    return row.softmax(-1)",
    "ids = tokenizer.encode('A sentence.')",
    "size = logits.squeeze(0).shape[-1]",
    # arithmetic that is no statistic
    "from ctai.statistics import rate\nr = rate(k, n)",
    "from . import statistics",
    "from ctai import statistics as s\nm = s.describe(v).median",
    "middle = stats.median",
    "key = rng.choice(family.keys)",
    "words = [rng.choice(words) for _ in range(9)]",
    "kinds = rng.choices(names, weights, k=3)",
    "length = math.sqrt(x * x + y * y)",
    "scale = 0.02 / (2 * layers) ** 0.5",
    "area = math.sqrt(s * (s - a) * (s - b) * (s - c))",
    "norm = x * torch.rsqrt(x.pow(2).mean(-1) + eps)",
    "spread = p * (1 - p)",
    "price = {'coffee': 1.96}",
    "ways = math.comb(n, k)",
    "mean = sum(values) / len(values)",
    "first = sorted(keys)[: round(share * len(keys))]",
    "largest = sorted(values)[len(values) - 1]",
    "error = sum((a - b) ** 2 for a, b in pairs) / len(pairs)",
    "activation = x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))",
    "digits = [rng.randrange(10) for _ in range(10)]",
    "share = (now - start) / (end - start)",
    # files that are read, and writes by the owner
    "text = open(p).read()",
    "text = open(p, 'rb').read()",
    "with path.open('rb') as f:\n    data = f.read()",
    "from ctai.rundir import write_text\nwrite_text(p, x)",
    "from ctai import rundir\nrundir.write_text(p, x)",
    "text = json.dumps(x)",
    "text = yaml.dump(x)",
    "rundir = RunDir.open(path)",
    "text = name.replace('a', 'b')",
    "sys.stdout.write(x)",
]


@pytest.fixture(scope="module")
def repository() -> list[Source]:
    return list(chain(package_sources(), tree_sources(ROOT / "scripts"), tree_sources(ROOT / "benchmarks")))


def concerns_of(code: str, path: str = "scripts/example.py") -> set[str]:
    return {violation.concern for violation in find_violations([Source(path, code)])}


@pytest.mark.parametrize(
    ("concern", "code"), [(concern, code) for concern, plants in PLANTS.items() for code in plants]
)
def test_a_second_owner_is_found(concern, code):
    assert concern in concerns_of(code)


@pytest.mark.parametrize("code", HONEST)
def test_honest_code_passes(code):
    assert concerns_of(code) == set()


FINDERS = [(concern.name, finder) for concern in CONCERNS for finder in concern.finders]


@pytest.mark.parametrize(("concern", "finder"), FINDERS, ids=[finder.__name__ for _, finder in FINDERS])
def test_every_finder_finds_three_plants(concern, finder):
    modules = [ParsedModule(Source("scripts/example.py", code)) for code in PLANTS[concern]]
    assert sum(any(True for _ in finder(module)) for module in modules) >= 3


def test_the_repository_has_one_owner_a_concern(repository):
    assert [violation.message() for violation in find_violations(repository)] == []


def test_every_allowance_is_needed(repository):
    assert stale_allowances(repository) == []


def test_every_allowance_has_a_reason():
    assert all(reason.strip() for concern in CONCERNS for reason in concern.allowed.values())


def test_an_allowance_that_nothing_needs_is_reported(repository):
    sources = [source for source in repository if not source.path.startswith("ctai/statistics/")]
    assert stale_allowances(sources) == ["statistics: ctai/statistics/"]


@pytest.mark.parametrize(
    ("entry", "path", "covered"),
    [
        ("ctai/prompts.py", "ctai/prompts.py", True),
        ("ctai/prompts.py", "ctai/prompts.pyx", False),
        ("scripts/build_embedded/", "scripts/build_embedded/card.py", True),
        ("scripts/build_embedded/", "scripts/build_embedded_more.py", False),
    ],
)
def test_an_allowance_covers_its_module_or_folder(entry, path, covered):
    assert covers(entry, path) is covered


def test_an_allowance_of_one_concern_is_none_of_another():
    assert concerns_of("import scipy\np = f'Q: {x}\\nA:'", "ctai/statistics/paired.py") == {"prompt text"}


def test_a_violation_names_place_code_concern_and_remedy():
    (violation,) = find_violations([Source("scripts/example.py", "x = 1\nmodel = AutoModel.from_pretrained('x')\n")])
    assert violation.message() == (
        "scripts/example.py:2: model loading outside its owner (model = AutoModel.from_pretrained('x')); "
        "load models with ctai.CleanModelLoader"
    )


def test_a_line_is_one_violation_of_a_concern():
    assert len(find_violations([Source("a.py", "x = torch.load(p) or AutoModel.from_pretrained(p)")])) == 1


def test_code_is_shown_as_printable_text_of_bounded_length():
    (violation,) = find_violations([Source("a.py", f"torch.load('\x1b[2J{'x' * 500}')")])
    assert violation.snippet.isprintable()
    assert len(violation.snippet) < 110


@pytest.mark.parametrize("code", ["def f(:", "x = 1\0", "(" * 300 + ")" * 300])
def test_a_module_that_cannot_be_parsed_is_a_violation(code):
    assert concerns_of(code) == {"code that cannot be parsed"}


def test_findings_cover_the_package_and_plugins(tmp_path):
    plugin, labels = tmp_path / "rivers.py", tmp_path / "labels.jsonl"
    plugin.write_text("FAMILIES = ()\nwrite = pipeline('text-generation', model='x')\n")
    labels.write_text("{}")
    (finding,) = canonical_use_findings([plugin, labels])
    assert finding.name == "canonical_use"
    assert finding.message.startswith(f"plug-in:{tmp_path.name}/rivers.py:2: model loading outside its owner")


def test_no_allowance_covers_a_plugin(tmp_path):
    plugin = tmp_path / "ctai" / "prompts.py"
    plugin.parent.mkdir()
    plugin.write_text("p = f'Q: {x}\\nA:'\n")
    assert [violation.concern for violation in find_violations(plugin_sources([plugin]))] == ["prompt text"]


def test_a_plugin_in_its_own_encoding_is_read(tmp_path):
    plugin = tmp_path / "rivers.py"
    plugin.write_bytes("# coding: latin-1\nname = 'Dønna'\nstate = torch.load(name)\n".encode("latin-1"))
    (violation,) = find_violations(plugin_sources([plugin]))
    assert violation.line == 3


def test_nothing_heavy_is_imported_to_check():
    code = "import sys, ctai.provenance.canonical_use; print(sys.modules.keys() & {'torch', 'transformers', 'scipy'})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
