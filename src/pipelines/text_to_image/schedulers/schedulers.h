// The constructors of all schedulers, for the table in scheduler.cpp.
#pragma once

#include <memory>

#include "pipelines/text_to_image/schedulers/scheduler.h"

namespace tenon::pipelines {

std::unique_ptr<Scheduler> make_ddim(SchedulerConfig config);
std::unique_ptr<Scheduler> make_ddpm(SchedulerConfig config);
std::unique_ptr<Scheduler> make_dpm_multistep(SchedulerConfig config);
std::unique_ptr<Scheduler> make_dpm_sde(SchedulerConfig config);
std::unique_ptr<Scheduler> make_dpm_singlestep(SchedulerConfig config);
std::unique_ptr<Scheduler> make_euler(SchedulerConfig config);
std::unique_ptr<Scheduler> make_euler_ancestral(SchedulerConfig config);
std::unique_ptr<Scheduler> make_heun(SchedulerConfig config);
std::unique_ptr<Scheduler> make_lcm(SchedulerConfig config);
std::unique_ptr<Scheduler> make_lms(SchedulerConfig config);
std::unique_ptr<Scheduler> make_pndm(SchedulerConfig config);
std::unique_ptr<Scheduler> make_unipc(SchedulerConfig config);

}  // namespace tenon::pipelines
