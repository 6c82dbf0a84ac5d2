#!/bin/bash
# Feeds made-up logs to scripts/failures.sh.
set -euo pipefail
cd "$(dirname "$0")"
. ./failures.sh

expect() { # what, actual, expected
    [[ $2 == "$3" ]] || { printf 'test_failures: %s:\n%s\nexpected:\n%s\n' "$1" "$2" "$3" >&2; exit 1; }
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

cat >"$log" <<'LOG'
◇ Test run started.
◇ Suite "The queue" started.
◇ Test "A lost task runs again" started.
◇ Test rates(seed:) started.
◇ Test "Nothing is forgotten" started.
◇ Test "Off" started.
◇ Test case passing 1 argument seed → 7 (Int) to rates(seed:) started.
✘ Test "A lost task runs again" recorded an issue at QueueTests.swift:12:9: Expectation failed: (count → 1) == 2
✘ Test "A lost task runs again" recorded an issue at QueueTests.swift:13:9: Expectation failed: false
↳ one more attempt
✘ Test "A lost task runs again" failed after 0.002 seconds with 2 issues.
✘ Test rates(seed:) recorded an issue with 1 argument seed → 7 at RateTests.swift:5:1: Caught error: late
✘ Test case passing 1 argument seed → 7 (Int) to rates(seed:) failed after 0.001 seconds with 1 issue.
✘ Test rates(seed:) with 3 test cases failed after 0.003 seconds with 1 issue.
✔ Test "Nothing is forgotten" passed after 0.001 seconds.
➜ Test "Off" skipped: "no root"
✘ Suite "The queue" failed after 0.004 seconds with 3 issues.
✘ Test run with 3 tests in 1 suite failed after 0.005 seconds with 3 issues.
LOG
expect 'failed tests' "$(failed_swift_tests "$log")" \
'  "A lost task runs again": QueueTests.swift:12:9: Expectation failed: (count → 1) == 2
  rates(seed:): with 1 argument seed → 7 at RateTests.swift:5:1: Caught error: late'

cat >"$log" <<'LOG'
◇ Test "Waits for ever" started.
◇ Test quick() started.
✔ Test quick() passed after 0.001 seconds.
error: Process '/x/roostPackageTests.xctest' exited with unexpected signal code 5
LOG
expect 'tests that were cut off' "$(failed_swift_tests "$log")" \
"  \"Waits for ever\": did not end
  error: Process '/x/roostPackageTests.xctest' exited with unexpected signal code 5"

cat >"$log" <<'LOG'
◇ Test quick() started.
✔ Test quick() passed after 0.001 seconds.
✔ Test run with 1 test in 1 suite passed after 0.001 seconds.
LOG
expect 'a good run' "$(failed_swift_tests "$log")" ''

cat >"$log" <<'LOG'
[3/40] Compiling RoostModel Job.swift
/a/Sources/Job.swift:4:9: error: cannot find 'jbo' in scope
 2 |
 4 |     jbo.run()
   |     `- error: cannot find 'jbo' in scope
 5 | }
[4/40] Compiling RoostModel Node.swift
/a/Sources/Job.swift:4:9: error: cannot find 'jbo' in scope
 4 |     jbo.run()
   |     `- error: cannot find 'jbo' in scope
error: emit-module command failed with exit code 1
[5/40] Compiling RoostWire Frame.swift
LOG
expect 'errors of the compiler' "$(build_errors "$log")" \
"/a/Sources/Job.swift:4:9: error: cannot find 'jbo' in scope
 2 |
 4 |     jbo.run()
   |     \`- error: cannot find 'jbo' in scope
 5 | }
error: emit-module command failed with exit code 1"

printf '%s\n' 'Fetching https://example.org/a.git' 'fatal: unable to access' >"$log"
expect 'a build without an error of the compiler' "$(build_errors "$log")" 'Fetching https://example.org/a.git
fatal: unable to access'

cat >"$log" <<'LOG'
* checking package dependencies ... OK
* checking R code for possible problems ... NOTE
f: no visible binding for global variable ‘x’
* checking examples ... OK
* checking tests ... [20s/31s] ERROR
  Running ‘bulk.R’ [1s/2s]
  Running ‘foreach.R’ [1s/2s]
Running the tests in ‘tests/foreach.R’ failed.
Last 13 lines of output:
  > stopifnot(identical(f(1), 3))
  Error: f(1) is not identical to 3
* checking PDF version of manual ... OK
* DONE
Status: 1 ERROR, 1 NOTE
LOG
expect 'remarks of R CMD check' "$(r_check_remarks "$log")" \
'* checking R code for possible problems ... NOTE
f: no visible binding for global variable ‘x’
* checking tests ... [20s/31s] ERROR
  Running ‘bulk.R’ [1s/2s]
  Running ‘foreach.R’ [1s/2s]
Running the tests in ‘tests/foreach.R’ failed.
Last 13 lines of output:
  > stopifnot(identical(f(1), 3))
  Error: f(1) is not identical to 3'
# R writes the word on a line of its own when tests were named before it.
cat >"$log" <<'LOG'
* checking tests ...
  Running ‘bulk.R’ [1s/2s]
 [20s/31s] ERROR
Running the tests in ‘tests/bulk.R’ failed.
* checking for detritus in the temp directory ... OK
LOG
expect 'tests that are named first' "$(r_check_remarks "$log")" '* checking tests ...
 [20s/31s] ERROR
Running the tests in ‘tests/bulk.R’ failed.'
sed -i 's/bulk.R’ failed/foreach.R’ failed/' "$log"
expect 'failed tests of R' "$(failed_r_tests "$log")" '  r/roost/tests/foreach.R'
