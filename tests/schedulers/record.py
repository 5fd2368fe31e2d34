"""Records runs of diffusers' schedulers with a model that C++ repeats bit by bit.

Needs torch, diffusers 0.39, scipy and torchsde. Writes cases.json (configs, timesteps, places) and
samples.npy (float32) beside itself.
"""

import inspect
import json
import pathlib
import warnings

import diffusers
import numpy as np
import torch

HERE = pathlib.Path(__file__).parent
SHAPE = (2, 3, 2, 4)
SD1 = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
V = {"prediction_type": "v_prediction"}
KEPT_STEPS = 12  # of long runs: this many, evenly, and the last

diffusers.utils.logging.set_verbosity_error()
warnings.simplefilter("ignore")


def model(sample, timestep):
    """No transcendental function: every operation rounds alike everywhere."""
    x = sample
    return x * 0.8 / (1 + x * x) + x * 0.05 + timestep.to(torch.float32) / 1000 * 0.1


def picture(factor, modulus):
    count = int(np.prod(SHAPE))
    values = (np.arange(count) * factor % modulus - modulus // 2).astype(np.float32)
    return torch.from_numpy(values / np.float32(modulus // 4)).reshape(SHAPE)


ORIGINAL = picture(37, 101)
NOISE = picture(53, 97)


def kept(count):
    if count <= KEPT_STEPS:
        return list(range(count))
    return sorted({round(i * (count - 1) / (KEPT_STEPS - 1)) for i in range(KEPT_STEPS)})


def run(scheduler, case):
    steps, strength, seeds = case["steps"], case["strength"], case["seeds"]
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    generator = generators if len(generators) > 1 else generators[0]
    scheduler.set_timesteps(steps)
    begin = max(steps - min(int(steps * strength), steps), 0) * scheduler.order
    timesteps = scheduler.timesteps[begin:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    arrays = [scheduler.add_noise(ORIGINAL, NOISE, timesteps[:1])]
    sample = arrays[0] if strength < 1 else NOISE * scheduler.init_noise_sigma
    accepted = inspect.signature(scheduler.step).parameters
    extra = {}
    if "generator" in accepted:
        extra["generator"] = generator
    if "eta" in accepted:
        extra["eta"] = case["eta"]
    places = kept(len(timesteps))
    for index, timestep in enumerate(timesteps):
        scaled = scheduler.scale_model_input(sample, timestep)
        sample = scheduler.step(model(scaled, timestep), timestep, sample, **extra).prev_sample
        if index in places:
            arrays.append(sample)
        if index == 0 and len(timesteps) > 1:
            arrays.insert(1, scheduler.add_noise(ORIGINAL, NOISE, timesteps[1:2]))
    case["timesteps"] = [float(t) for t in timesteps]
    case["integer"] = not timesteps.is_floating_point()
    case["init_noise_sigma"] = float(scheduler.init_noise_sigma)
    case["kept"] = places
    return torch.stack(arrays).to(torch.float32).numpy()


class Recorder:
    def __init__(self):
        self.cases, self.arrays, self.used = [], [], 0

    def add(self, class_name, config, steps, strength=1.0, seeds=(7,), eta=0.0, name=""):
        cls = getattr(diffusers, class_name)
        case = {"class": class_name, "name": name, "config": config, "steps": steps,
                "strength": strength, "seeds": list(seeds), "eta": eta}
        if name:
            changes = {"use_karras_sigmas": True} if name.endswith(":karras") else {}
            if name.startswith("dpmpp_2m"):
                changes["algorithm_type"] = "sde-dpmsolver++" if "sde" in name else "dpmsolver++"
            scheduler = cls.from_config({**config}, **changes)
        else:
            scheduler = cls(**config)
            case["config"] = {"_class_name": class_name, **config}
        array = run(scheduler, case)
        assert np.isfinite(array).all(), case
        case["at"] = self.used
        self.used += array.size
        self.cases.append(case)
        self.arrays.append(array.ravel())

    def grid(self, class_name, configs, steps=(1, 2, 3, 5, 20, 50)):
        """Every config with some of the step counts in turn, the first with all."""
        for i, config in enumerate(configs):
            counts = steps if i == 0 else {steps[i % len(steps)], 8}
            for count in sorted(counts):
                self.add(class_name, {**SD1, **config}, count)
        self.add(class_name, {**SD1, **configs[0]}, 10, strength=0.55)
        self.add(class_name, {**SD1, **configs[-1]}, 7, strength=0.8, seeds=(1, 2))


SPACINGS = [{"timestep_spacing": "leading", "steps_offset": 1}, {"timestep_spacing": "trailing"},
            {"timestep_spacing": "linspace"}]
SIGMAS = [{"use_karras_sigmas": True}, {"use_exponential_sigmas": True}, {"use_beta_sigmas": True}]
BETAS = [{"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02},
         {"beta_schedule": "squaredcos_cap_v2"},
         {"trained_betas": [round(0.0001 + 0.00007 * i, 7) for i in range(200)],
          "num_train_timesteps": 200}]
THRESHOLD = {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 1.7}
ZERO_SNR = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", **V}


def record(recorder):
    sigma_options = [{}, V, *SPACINGS, *SIGMAS, *BETAS]
    recorder.grid("LMSDiscreteScheduler", [*sigma_options, {"prediction_type": "sample"}])
    recorder.grid("EulerDiscreteScheduler", [
        *sigma_options, ZERO_SNR, {"final_sigmas_type": "sigma_min"},
        {"interpolation_type": "log_linear"}, {"timestep_type": "continuous", **V},
        {"use_karras_sigmas": True, "sigma_min": 0.05, "sigma_max": 10.0}])
    recorder.grid("EulerAncestralDiscreteScheduler",
                  [{}, V, *SPACINGS, *BETAS, {**ZERO_SNR, "prediction_type": "epsilon"}, ZERO_SNR])
    recorder.grid("HeunDiscreteScheduler", [
        *sigma_options, {"clip_sample": True, "clip_sample_range": 1.5}, {"beta_schedule": "exp"}])
    recorder.grid("DPMSolverSDEScheduler", [
        {"noise_sampler_seed": 5, **option}
        for option in [{}, V, *SPACINGS, *SIGMAS, *BETAS, {"noise_sampler_seed": 2**40 + 3}]])

    clipped = {"clip_sample": True, "clip_sample_range": 1.2}
    plain = {"clip_sample": False}
    ddim = [plain, {**V, **plain}, {"prediction_type": "sample", **plain}, clipped, THRESHOLD,
            *[{**spacing, **plain} for spacing in SPACINGS], *[{**b, **plain} for b in BETAS],
            {**ZERO_SNR, **plain}, {"set_alpha_to_one": False, **plain}]
    recorder.grid("DDIMScheduler", ddim)
    for steps, seeds in ((5, (3,)), (20, (3, 4))):
        recorder.add("DDIMScheduler", {**SD1, **plain}, steps, eta=0.7, seeds=seeds)
    recorder.grid("DDPMScheduler", [
        plain, {**V, **plain}, {"prediction_type": "sample"}, clipped, THRESHOLD,
        *[{**spacing, **plain} for spacing in SPACINGS], *[{**b, **plain} for b in BETAS],
        {"variance_type": "fixed_small_log", **plain}, {"variance_type": "fixed_large", **plain},
        {"beta_schedule": "sigmoid", **plain}, {"beta_schedule": "laplace", "timestep_spacing": "trailing"}])
    plms = {"skip_prk_steps": True}
    recorder.grid("PNDMScheduler", [
        plms, {**plms, **V}, *[{**plms, **s} for s in SPACINGS], *[{**plms, **b} for b in BETAS],
        {**plms, "set_alpha_to_one": True}, {**plms, "steps_offset": 1}])
    for config in ({}, V, {"timestep_spacing": "trailing"}):
        for steps in (4, 5, 20):
            recorder.add("PNDMScheduler", {**SD1, **config}, steps)

    two = [{"solver_order": 2, "solver_type": "heun"}, {"solver_order": 1}]
    three = [{"solver_order": 3}, {"solver_order": 3, "solver_type": "heun"}]
    bare = [{"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min", **option}
            for option in ({}, {"solver_type": "heun"}, {"solver_order": 3}, V, THRESHOLD)]
    stochastic = [{"algorithm_type": "sde-dpmsolver++", **option}
                  for option in ({}, {"solver_type": "heun"}, V, {"use_karras_sigmas": True})]
    shared = [{}, V, {"prediction_type": "sample"}, THRESHOLD, *SIGMAS, *BETAS, *two, *three,
              {"final_sigmas_type": "sigma_min"}]
    recorder.grid("DPMSolverMultistepScheduler", [
        *shared, *SPACINGS, *bare, *stochastic, ZERO_SNR,
        {"euler_at_final": True, "final_sigmas_type": "sigma_min"}, {"use_lu_lambdas": True},
        {"lower_order_final": False, "final_sigmas_type": "sigma_min"},
        {"lambda_min_clipped": -4.0},
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 3},
        {"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min"},
        {"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min", "solver_type": "heun"},
        {"use_karras_sigmas": True, "beta_schedule": "squaredcos_cap_v2"}])
    recorder.grid("DPMSolverSinglestepScheduler", [
        *shared, *[c for c in bare if "thresholding" not in c], *stochastic,
        {"lower_order_final": True}, {"lower_order_final": True, "solver_order": 3},
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 3},
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 3, "solver_type": "heun"}])
    recorder.grid("UniPCMultistepScheduler", [
        {}, V, {"prediction_type": "sample"}, THRESHOLD, *SIGMAS, *BETAS, *SPACINGS, ZERO_SNR,
        {"solver_order": 1}, {"solver_order": 3}, {"solver_type": "bh1", "final_sigmas_type": "sigma_min"},
        {"predict_x0": False, "final_sigmas_type": "sigma_min"}, {"disable_corrector": [0, 1]},
        {"predict_x0": False, "final_sigmas_type": "sigma_min", **V},
        {"use_karras_sigmas": True, "final_sigmas_type": "sigma_min"},
        {"lower_order_final": False, "final_sigmas_type": "sigma_min"}])
    recorder.grid("LCMScheduler", [
        {}, V, {"prediction_type": "sample"}, THRESHOLD, clipped, *BETAS[:2],
        {"original_inference_steps": 100}, {"timestep_scaling": 3.0}, ZERO_SNR])

    # The options of one class's file under another name: Stable Diffusion 1.5 and 2.1.
    files = [{**SD1, "_class_name": "PNDMScheduler", "num_train_timesteps": 1000,
              "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1,
              "trained_betas": None, "clip_sample": False},
             {**SD1, "_class_name": "DDIMScheduler", "num_train_timesteps": 1000, **V,
              "set_alpha_to_one": False, "steps_offset": 1, "clip_sample": False,
              "trained_betas": None, "skip_prk_steps": True}]
    names = {"lms": "LMSDiscrete", "lms:karras": "LMSDiscrete", "ddim": "DDIM", "ddpm": "DDPM",
             "pndm": "PNDM", "euler": "EulerDiscrete", "euler:karras": "EulerDiscrete",
             "euler_a": "EulerAncestralDiscrete", "heun": "HeunDiscrete",
             "heun:karras": "HeunDiscrete", "dpmpp_2m": "DPMSolverMultistep",
             "dpmpp_2m:karras": "DPMSolverMultistep", "dpmpp_2m_sde": "DPMSolverMultistep",
             "dpmpp_2m_sde:karras": "DPMSolverMultistep", "dpmpp_2s": "DPMSolverSinglestep",
             "dpmpp_2s:karras": "DPMSolverSinglestep", "unipc": "UniPCMultistep",
             "unipc:karras": "UniPCMultistep", "lcm": "LCM"}
    for config in files:
        for name, stem in names.items():
            recorder.add(stem + "Scheduler", config, 20, name=name)


if __name__ == "__main__":
    recorder = Recorder()
    record(recorder)
    lines = ",\n".join(json.dumps(case) for case in recorder.cases)
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n")
    np.save(HERE / "samples.npy", np.concatenate(recorder.arrays))
    print(len(recorder.cases), "cases,", recorder.used, "values")
