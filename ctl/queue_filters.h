// Messages in Postfix's queue that remember a content filter, whatever main.cf says by now.
#pragma once

#include <string>
#include <vector>

#include "ctl/progress.h"
#include "shared/mta/doctor.h"
#include "shared/mta/postfix_instance.h"

namespace forcetls {

/// So many files are looked at, those that wait longest first as the directories happen to list
/// them: a queue may hold millions.
constexpr std::size_t kMostQueueFiles = 20'000;

/// A file that vanishes meanwhile has been delivered. `all_seen`: false if there were more.
std::vector<doctor::QueuedFilter> queued_filters(const PostfixInstance& postfix, Progress& progress,
                                                 bool& all_seen);

/// The filter that Postfix's queue manager takes a message for, from its queue file; empty: none,
/// or no such file. Read record by record: postcat(1) shows what a user wrote into his own name,
/// line ends and all, as if it were records.
std::string filter_in_queue_file(const std::string& path);

}  // namespace forcetls
