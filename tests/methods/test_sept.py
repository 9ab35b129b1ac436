"""The page of SePT against the paper: its acceptance tests (a) to (j), and what its code does round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from selftrain.errors import ModelError, RunError, SettingsError
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.learner import Learner
from selftrain.loop.model_factory import ModelFactory
from selftrain.loop.progress import Progress
from selftrain.methods import SePT
from selftrain.methods.base import collected_from
from selftrain.methods.filters import with_scores
from selftrain.methods.sept import SePTEvalConfig, SePTTrainingConfig, check_newest
from selftrain.models.loading import LoadedModel
from selftrain.models.logprobs import token_logprobs
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.models.rendering import TokenizedExample
from selftrain.models.seeds import seed_model
from selftrain.problems import load_problems
from selftrain.storage import RunFolder
from selftrain.trainer import SelfTrainer
from selftrain.training.base import RoundProgress, TrainingConfig, TrainingJob, TrainingReport, learning_rate_factor
from selftrain.training.loss import weighted_nll
from selftrain.training.trainer import TransformersTrainer
from selftrain.types import Collected, Prompt, Response, Round, SamplingParams, TrainingExample
from tests.conftest import engine_of, generate
from tests.toys.engine import ToyEngine
from tests.toys.model import ToyModel, toy_problems
from tests.toys.runs import read, run_toys, toy
from tests.toys.trainer import ToyTrainer
from tests.training.small import gradients_of

PROBLEMS = toy_problems(40)
OLD = [1.0, 0.6, 0.2, -0.2, -0.5]
TEMPERATURES = [(0.6, 1.0), (0.3, 0.6), (0.9, 1.0), (1.0, 0.7)]


class Table(torch.nn.Module):
    """A softmax over five one-token answers, in the form of a language model, so that our own loss computes on it."""

    device = torch.device("cpu")

    def __init__(self, logits: Sequence[float] = OLD) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(logits))

    def forward(self, input_ids: Tensor, use_cache: bool, logits_to_keep: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.logits.expand(*input_ids[:, logits_to_keep].shape, -1))

    def answers(self, temperature: float) -> Tensor:
        return (self.logits.detach() / temperature).softmax(-1)


def expected_loss(model: Table, drawn: Tensor, tau_t: float) -> Tensor:
    """The loss in exact expectation: every answer once, weighted by how likely it is drawn."""
    rows = [TokenizedExample((0, answer), 1, share) for answer, share in enumerate(drawn.tolist())]
    logprobs, mask = token_logprobs(model, rows, pad_id=0, temperature=tau_t)
    return weighted_nll(logprobs, mask, drawn, "token")


@pytest.mark.parametrize(("tau_s", "tau_t"), TEMPERATURES)
def test_a_many_steps_in_one_round_scale_all_margins_and_keep_their_order(tau_s: float, tau_t: float) -> None:
    model = Table()
    drawn = model.answers(tau_s)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = expected_loss(model, drawn, tau_t)
        loss.backward()
        return loss

    optimizer.step(closure)
    margins = model.logits.detach() - model.logits.detach()[0]
    old = torch.tensor(OLD) - OLD[0]
    assert margins.tolist() == pytest.approx((tau_t / tau_s * old).tolist(), abs=0.02)
    assert margins.argsort().tolist() == old.argsort().tolist()


@pytest.mark.parametrize("tau", [0.3, 0.6, 1.0, 1.4])
def test_b_equal_temperatures_have_no_expected_gradient(tau: float) -> None:
    model = Table()
    expected_loss(model, model.answers(tau), tau).backward()
    assert model.logits.grad.abs().max() < 1e-6


@pytest.mark.parametrize(("tau_s", "tau_t"), TEMPERATURES)
def test_c_the_gradient_in_logits_is_the_difference_of_the_two_softmaxes(tau_s: float, tau_t: float) -> None:
    model = Table()
    expected_loss(model, model.answers(tau_s), tau_t).backward()
    by_hand = (model.answers(tau_t) - model.answers(tau_s)) / tau_t
    assert by_hand.abs().max() > 0.01
    assert model.logits.grad.tolist() == pytest.approx(by_hand.tolist(), abs=1e-6)


def test_d_the_temperature_rises_over_two_of_three_passes() -> None:
    u = {passes: SePT().temperature_at(passes / 3) for passes in (0, 0.5, 1, 1.5, 2, 2.5, 3)}
    assert u == pytest.approx({0: 0.6, 0.5: 0.7, 1: 0.8, 1.5: 0.9, 2: 1.0, 2.5: 1.0, 3: 1.0})
    assert SePT(temperature=0.9).temperature_at(1 / 3) == pytest.approx(0.95)


def test_d_in_rounds_the_first_samples_at_exactly_the_first_temperature() -> None:
    def by_round(method: SePT) -> list[float]:
        rounds = (Round(n, (), (), (), read, 1, method.num_rounds) for n in range(1, method.num_rounds + 1))
        return [method.temperature_at(now.fraction_done) for now in rounds]

    nine = by_round(SePT(num_rounds=9))
    assert nine[0] == 0.6
    assert nine == pytest.approx([0.6 + 0.4 * r / 6 for r in range(6)] + [1.0] * 3)
    whole = by_round(SePT(**{"num_rounds": 942} | only_of_method("faithful")))
    # As in the paper's code: progress = r / (2 passes of 314 rounds), r from 0.
    assert whole == pytest.approx([0.6 + 0.4 * min(1.0, r / 628) for r in range(942)])
    assert set(by_round(SePT(**only_of_method("faithful_v1")))) == {0.6}


def only_of_method(profile: str) -> dict[str, object]:
    return {name: value for name, value in SePT.profiles[profile].items() if hasattr(SePT, name)}


def round_of(number: int, learner: Learner, num_rounds: int = 1, grade=read) -> Round:
    return Round(number, PROBLEMS, make_prompts(PROBLEMS), [learner], grade, 7, num_rounds)


def test_d_a_round_is_drawn_at_its_temperature_untruncated() -> None:
    asked: list[SamplingParams] = []

    class Spy(Learner):
        def sample(self, prompts, n, params, key):
            asked.append(params)
            return super().sample(prompts, n, params, key)

    model = ToyModel()
    learner = Spy(ToyEngine(model), ToyTrainer(model), "base")
    for number in (1, 2, 3, 4):
        learner.weights_version = number - 1
        lessons = SePT(num_rounds=3, max_completion_length=9).collect(round_of(number, learner, 3))
        assert lessons.metrics["temperature"] == asked[-1].temperature
    assert [one.temperature for one in asked] == pytest.approx([0.6, 0.8, 1.0, 1.0])
    assert {(one.top_k, one.top_p, one.max_completion_length) for one in asked} == {(0, 1.0, 9)}


# (e) which tokens are learnt


@pytest.fixture(scope="module")
def answers(llama: LoadedModel) -> list[Response]:
    """Answers of which some ended by themselves and some were cut off."""
    prompts = make_prompts(load_problems("word_problems", split="test", max_problems=12))
    drawn = generate(engine_of(llama), prompts, 4, SamplingParams(0.8, max_completion_length=26))
    assert 4 < sum(response.truncated for response in drawn) < 44
    return drawn


def rows_of(loaded: LoadedModel, answers: Sequence[Response]) -> list[TokenizedExample]:
    (examples,) = collected_from(with_scores(answers, read(answers)), answers[0].model).examples.values()
    return engine_of(loaded).renderer.tokenize_examples(examples)


def test_e_every_generated_token_is_trained_on_the_end_included_and_no_other(
    llama: LoadedModel, answers: list[Response]
) -> None:
    rows = rows_of(llama, answers)
    with torch.inference_mode():
        _, mask = token_logprobs(llama.model, rows, pad_id=llama.tokenizer.eos_token_id)
    first = min(row.prompt_length for row in rows)
    for response, row, learnt in zip(answers, rows, mask, strict=True):
        places = [first + place for place, here in enumerate(learnt.tolist()) if here]
        # What is masked beyond the row's end is padding, here with the end token itself.
        assert tuple(row.token_ids[place] for place in places) == response.token_ids
        ends = sum(token in llama.stop_ids for token in response.token_ids)
        assert ends == (not response.truncated) and (response.truncated or response.token_ids[-1] in llama.stop_ids)
    assert mask.sum() == sum(len(response.token_ids) for response in answers)


def test_e_no_end_is_trained_on_where_the_model_generated_none(llama: LoadedModel, answers: list[Response]) -> None:
    """It would learn to stop in the middle of an answer."""
    for response, row in zip(answers, rows_of(llama, answers), strict=True):
        assert row.token_ids[row.prompt_length :] == response.token_ids
        assert (row.token_ids[-1] in llama.stop_ids) == (not response.truncated)


def test_e_an_answer_that_a_stop_string_ended_is_trained_to_end_there(llama: LoadedModel) -> None:
    renderer = engine_of(llama).renderer
    prompt = Prompt("p", "Tom has 3 apples.", few_shot=(("What is 1+1?", "1+1=2. #### 2"),))
    written = renderer.tokenizer(" 4+4=8. #### 8\n\nQuestion: Tom has")["input_ids"]
    ids, text = renderer.cut(written, renderer.stop_texts(prompt))
    response = Response(prompt, renderer.text(prompt), 0, text, ids, -1.0, "stop", "seed", 0)
    (row,) = rows_of(llama, [response])
    assert row.token_ids[row.prompt_length :] == (*ids, llama.tokenizer.eos_token_id)


# (f) the mean over all tokens of an update


def test_f_the_loss_is_the_mean_over_all_tokens_however_micro_batches_are_cut(
    trainable: LoadedModel, answers: list[Response]
) -> None:
    trainer = TransformersTrainer(trainable.model, engine_of(trainable).renderer)
    (examples,) = collected_from(with_scores(answers, read(answers)), "seed").examples.values()
    # A first round of the schedule, whose learning rate is 0: all three see the same weights.
    configs = [SePTTrainingConfig(max_tokens_per_batch=budget) for budget in (100_000, 400, 1)]
    with gradients_of(trainable.model) as gradients:
        reports = [trainer.train(TrainingJob(examples, config, "s", RoundProgress(1, 20))) for config in configs]
    rows = rows_of(trainable, answers)
    with torch.inference_mode():
        alone = [token_logprobs(trainable.model, [row], 0)[0].sum().item() for row in rows]
    by_hand = -sum(alone) / sum(row.completion_length for row in rows)
    assert [report.loss_first for report in reports] == pytest.approx([by_hand] * 3, rel=1e-5)
    assert len(gradients) == 3
    for other in gradients[1:]:
        assert (gradients[0] - other).norm() < 1e-4 * gradients[0].norm()


# (g), pass@k, is tests/evaluation/test_metrics.py

# (h) what a learning rate of 1e-7 needs


EXAMPLES = [TrainingExample(Prompt(f"p{i}", f"Tom has {i} apples."), f" {i}+1={i + 1}. #### {i + 1}") for i in range(8)]


def flat(model: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


def test_h_at_1e_7_float32_weights_move_and_bfloat16_ones_do_not(trainable: LoadedModel) -> None:
    trainer = TransformersTrainer(trainable.model, engine_of(trainable).renderer)
    before = flat(trainable.model)
    training = SePTTrainingConfig(warmup_steps=0, warmup_ratio=0.0, weight_decay=0.0)
    report = trainer.train(TrainingJob(EXAMPLES, training, "s", RoundProgress(1, 9)))
    moved = (flat(trainable.model) != before).float().mean()
    assert training.learning_rate == 1e-7 and moved > 0.9
    # The trainer says itself how little of this a sampler in bfloat16 would see.
    assert report.bf16_changed < 0.02

    low = torch.nn.Parameter(before.to(torch.bfloat16))
    low.grad = torch.randn(len(low), generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    start = low.detach().clone()
    torch.optim.AdamW([low], lr=1e-7, weight_decay=0.0).step()
    assert (low.detach() != start).float().mean() < 0.02


def test_h_weights_below_float32_are_refused_with_the_reason(trainable: LoadedModel) -> None:
    trainable.model.bfloat16()
    trainer = TransformersTrainer(trainable.model, engine_of(trainable).renderer)
    with pytest.raises(ModelError, match=r"(?s)bfloat16.*1e-07 a weight vanishes.*load the model in float32"):
        trainer.train(TrainingJob(EXAMPLES, SePTTrainingConfig(), "s"))


# (i) sampler and trainer speak of the same probabilities


@pytest.mark.parametrize("tau", [0.6, 1.0])
def test_i_sampler_and_trainer_agree_on_log_p_at_temperature_1(
    loaded: LoadedModel, prompts: list[Prompt], tau: float
) -> None:
    drawn = generate(engine_of(loaded), prompts[:8], 3, SamplingParams(tau, max_completion_length=26))
    assert {response.truncated for response in drawn} == {True, False}
    with torch.inference_mode():
        trained_on = token_logprobs(loaded.model, rows_of(loaded, drawn), pad_id=0)[0].sum(-1)
    assert trained_on.tolist() == pytest.approx([response.logprob for response in drawn], abs=2e-3)


# (j) the newest weights answer


def test_j_every_round_samples_from_the_weights_of_the_round_before(tmp_path: Path) -> None:
    SelfTrainer(
        method=SePT(num_rounds=3, problems_per_round=8, max_completion_length=24), model=seed_model("llama"),
        train_dataset=load_problems("word_problems", split="train", max_problems=14),
        eval_dataset=load_problems("word_problems", split="test", max_problems=6),
        training=SePTTrainingConfig(learning_rate=2e-3, warmup_steps=0, warmup_ratio=0.0, validation_size=4),
        evaluation=SePTEvalConfig(num_generations_eval=0, eval_rounds=1),
        monitor=MonitorConfig(collapse_watch="off", probe_generations=1, consensus_generations=1),
        output_dir=tmp_path / "run", progress=Progress(quiet=True),
    ).train()  # fmt: skip
    folder = RunFolder.open(tmp_path / "run")
    versions = folder.query("select distinct round, weights_version from samples order by all").fetchall()
    assert versions == [(1, 0), (2, 1), (3, 2)]
    asked = "select problem_id, question, token_ids from samples where round = "
    first = make_prompts(load_problems("word_problems", split="train", max_problems=14))
    for number in (2, 3):
        then = {i: tuple(ids) for i, _, ids in folder.query(f"{asked} {number}").fetchall()}
        prompts = [prompt for prompt in first if prompt.problem_id in then]
        sampling = SamplingParams(SePT().temperature_at((number - 1) / 3), max_completion_length=24)

        def again(version: int, prompts=prompts, sampling=sampling, number=number) -> dict[str, tuple[int, ...]]:
            path = str(folder.weights(version)) if version else seed_model("llama")
            learner = ModelFactory(PromptConfig()).load(path, "llama")
            answers = learner.sample(prompts, 1, sampling, f"42/round {number}")
            return {response.prompt.problem_id: response.token_ids for response in answers}

        assert again(number - 1) == then
        if number == 2:
            assert again(0) != then
    greedy = "select round, string_agg(completion, '|' order by problem_id) from evaluations group by 1 order by 1"
    texts = [text for _, text in folder.query(greedy).fetchall()]
    assert len(set(texts)) > 1


def test_j_answers_of_older_weights_are_refused() -> None:
    learner = toy()
    learner.weights_version = 3
    assert SePT(num_rounds=9).collect(round_of(4, learner, 9)).samples
    with pytest.raises(RunError, match=r"(?s)round 5 were sampled from the weights of round 3, not 4.*report it"):
        SePT(num_rounds=9).collect(round_of(5, learner, 9))
    one = SePT(num_rounds=9).collect(round_of(4, learner, 9)).samples[0].response
    check_newest([one], 3)
    with pytest.raises(RunError, match="round 2"):
        check_newest([one, replace(one, weights_version=2)], 3)


# One optimizer for the whole run


def after_two_rounds(loaded: LoadedModel, training: TrainingConfig, moments: Sequence[RoundProgress]) -> Tensor:
    trainer = TransformersTrainer(loaded.model, engine_of(loaded).renderer)
    trainer.load(seed_model("llama"))
    for round_progress in moments:
        trainer.train(TrainingJob(EXAMPLES, training, "s", round_progress))
    return flat(loaded.model)


def test_the_optimizer_spans_rounds(trainable: LoadedModel) -> None:
    alive = SePTTrainingConfig(learning_rate=1e-3, warmup_steps=0, warmup_ratio=0.0)
    fresh = replace(alive, optimizer_spans="round")
    rounds = [RoundProgress(1, 2), RoundProgress(2, 2)]
    across = after_two_rounds(trainable, alive, rounds)
    anew = after_two_rounds(trainable, fresh, rounds)
    # Two rounds on the same examples are two passes over them, where nothing is begun anew in between.
    whole = after_two_rounds(trainable, replace(fresh, num_train_epochs=2), [RoundProgress(1, 1)])
    assert (across - whole).abs().max() < 1e-6
    assert (across - anew).abs().max() > 1e-4


def test_the_learning_rate_is_0_in_the_first_round_and_rises_over_ten(trainable: LoadedModel) -> None:
    training = SePTTrainingConfig()
    factors = [learning_rate_factor(r, 250, training) for r in range(250)]
    assert factors == pytest.approx([r / 10 for r in range(10)] + [1.0] * 240) and factors[0] == 0
    warm = SePTTrainingConfig(learning_rate=1e-3, train_batch_size=4)
    trainer = TransformersTrainer(trainable.model, engine_of(trainable).renderer)
    before = flat(trainable.model)
    # Both updates of a round have its learning rate.
    assert trainer.train(TrainingJob(EXAMPLES, warm, "s", RoundProgress(1, 50))).steps == 2
    assert torch.equal(flat(trainable.model), before)
    trainer.train(TrainingJob(EXAMPLES, warm, "s", RoundProgress(2, 50)))
    assert 1e-5 < (flat(trainable.model) - before).abs().max() < 1e-3


def test_two_updates_a_round(trainable: LoadedModel) -> None:
    method, training = SePT(), SePT.training
    assert (method.problems_per_round, method.num_generations, training.train_batch_size) == (128, 1, 64)
    examples = [TrainingExample(Prompt(f"p{i}", "Tom?"), " 7") for i in range(128)]
    trainer = TransformersTrainer(trainable.model, engine_of(trainable).renderer)
    report: TrainingReport = trainer.train(TrainingJob(examples, training, "s", RoundProgress(5, 250)))
    assert (report.steps, report.epochs, report.examples) == (2, 1, 128)


# Controls and options


def run_toy(folder: Path, **settings) -> tuple[list[tuple], Learner, Learner]:
    """The samples of a run, its learner, and the untouched one."""
    learner, base_models = toy(), toy()
    method = SePT(**{"num_rounds": 3, "problems_per_round": None, "num_generations": 2} | settings)
    training = SePTTrainingConfig(learning_rate=0.5, warmup_steps=0, warmup_ratio=0.0)
    run_toys(folder, method, [learner], training=training, base_models=lambda: [base_models])
    rows = "select round, problem_id, sample_index, completion, weights_version from samples order by all"
    return RunFolder(folder).query(rows).fetchall(), learner, base_models


def test_offline_the_base_model_answers_every_round_and_all_else_is_equal(tmp_path: Path) -> None:
    online, _, _ = run_toy(tmp_path / "on")
    offline, learner, base_models = run_toy(tmp_path / "off", refresh="never")
    assert {row[-1] for row in online} == {0, 1, 2} and {row[-1] for row in offline} == {0}
    # The same problems with the same luck at the same temperature: round 1 cannot tell them apart.
    assert [row[:3] for row in online] == [row[:3] for row in offline]
    assert [row for row in online if row[0] == 1] == [row for row in offline if row[0] == 1]
    assert base_models.trainer.model.logits == ToyModel().logits != learner.trainer.model.logits
    for number in (1, 2, 3):
        method = SePT(num_rounds=3)
        tau = method.temperature_at((number - 1) / 3)
        again = toy().sample(make_prompts(toy_problems(80)), 2, SamplingParams(tau), f"3/round {number}")
        expected = sorted((number, r.prompt.problem_id, r.sample_index, r.text, 0) for r in again)
        assert expected == [row for row in offline if row[0] == number]
    facts = [RunFolder(tmp_path / arm).rounds()[1]["method_metrics"] for arm in ("on", "off")]
    assert facts[0] == facts[1]


def test_coupled_a_round_is_trained_at_its_sampling_temperature(tmp_path: Path) -> None:
    trained_at: list[float] = []

    class Spy(ToyTrainer):
        def train(self, job, *hooks):
            trained_at.append(job.config.train_temperature)
            return super().train(job, *hooks)

    for coupled in (True, False):
        model = ToyModel()
        learner = Learner(ToyEngine(model), Spy(model), "base")
        method = SePT(num_rounds=3, couple_temperatures=coupled)
        run_toys(tmp_path / str(coupled), method, [learner], training=SePTTrainingConfig())
    assert trained_at == pytest.approx([0.6, 0.8, 1.0] + [1.0] * 3)


def collected(answer: ToyEngine, **settings) -> Collected:
    return SePT(**settings).collect(round_of(1, Learner(answer, ToyTrainer(answer.model), "base")))


class Odd(ToyEngine):
    """Every third answer is cut off, every fifth has no text."""

    def generate(self, request):
        made = super().generate(request)
        at = [int(r.prompt.question.split()[2].split("+")[0]) + r.sample_index for r in made]
        made = [replace(r, finish_reason="length") if n % 3 == 0 else r for n, r in zip(at, made, strict=True)]
        return [replace(r, text=" \n") if n % 5 == 0 else r for n, r in zip(at, made, strict=True)]


def test_wrong_empty_and_truncated_answers_are_trained_on_by_default() -> None:
    lessons = collected(Odd(ToyModel()), num_generations=30)
    assert all(s.kept and s.weight == 1.0 for s in lessons.samples)
    assert len(lessons.examples["toy"]) == len(lessons.samples) == 40 * 30
    assert [e.truncated for e in lessons.examples["toy"]] == [s.response.truncated for s in lessons.samples]
    both = collected(Odd(ToyModel()), num_generations=30, mask_truncated_completions=True, drop_empty_completions=True)
    for sample in both.samples:
        why = "truncated" if sample.response.truncated else None if sample.response.text.strip() else "empty"
        assert sample.drop_reason == why
    assert {s.drop_reason for s in both.samples} == {"truncated", "empty", None}
    one = collected(Odd(ToyModel()), num_generations=30, drop_empty_completions=True)
    assert {s.drop_reason for s in one.samples} == {"empty", None}


def test_rewards_change_nothing() -> None:
    """Whatever the judge says, the lessons are the same."""
    from selftrain.types import Score

    def all_wrong(responses):
        return [Score(0.0, "x") for _ in responses]

    plain, graded_wrong = (SePT().collect(round_of(1, toy(), grade=grade)) for grade in (read, all_wrong))
    assert plain.examples == graded_wrong.examples and plain.examples["toy"]


def test_sharper_sampling_than_training_sharpens_the_model_and_coupled_does_not(tmp_path: Path) -> None:
    def top_share(name: str, **settings) -> float:
        _, learner, _ = run_toy(tmp_path / name, num_rounds=9, num_generations=4, anneal_share=0.0, **settings)
        return max(learner.trainer.model.probabilities())

    start = max(ToyModel().probabilities())
    assert top_share("sept") > start + 0.2
    # Drawn at temperature 1 and trained there: nothing but the noise of 320 draws a round.
    assert abs(top_share("flat", temperature=1.0) - start) < 0.1


@pytest.mark.parametrize(
    "wrong", [{"anneal_share": 1.5}, {"temperature": 0.0}, {"temperature_end": -1.0}, {"num_rounds": 0}]
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong)).removesuffix("_end")):
        SePT(**wrong)
