// Messages in Postfix's queue that remember a content filter, whatever main.cf says by now.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ctl/progress.h"
#include "shared/mta/doctor.h"
#include "shared/mta/postfix_instance.h"

namespace forcetls {

/// So many files are looked at, those that wait longest first as the directories happen to list
/// them: a queue may hold millions.
constexpr std::size_t kMostQueueFiles = 500;

/// Asks postcat(1). A file that vanishes meanwhile has been delivered.
std::vector<doctor::QueuedFilter> queued_filters(const PostfixInstance& postfix,
                                                 Progress& progress);

/// The value of the last filter record that postcat -e printed; empty: none.
std::string filter_in(std::string_view envelope);

}  // namespace forcetls
