// The plan carried out on a private copy of main.cf and master.cf by the real postconf: what this
// gives is what is shown, and what --apply puts in place.
#pragma once

#include <string>

#include "ctl/setup_backup.h"
#include "shared/base/result.h"
#include "shared/mta/setup_plan.h"

namespace forcetls {

/// `now` as postconf writes it with the changes of `plan`, made for `config` and `facts`. The
/// result has been read again: it needs no further change. Errors: System with postconf's words;
/// Malformed if the result would not be what was planned.
Result<ConfigTexts> try_out(const ConfigTexts& now, const PostfixConfig& config,
                            const SetupFacts& facts, const Plan& plan);

/// Both files as `diff -u` shows them; empty if they are the same. Errors: System.
Result<std::string> difference(const ConfigTexts& before, const ConfigTexts& after);

}  // namespace forcetls
