# What went wrong, taken out of logs, for the ends of scripts/build.sh, test.sh and test_r.sh. To be sourced; each function prints
# lines, or nothing where nothing failed. scripts/test_failures.sh feeds them made-up logs.

# The tests of Swift that failed, each with its first issue; and, of a run that was cut off, those that had not ended.
failed_swift_tests() { # LOG
    awk '
        { sub(/\r$/, "") }
        match($0, /^✘ Test .* recorded an issue/) {
            name = substr($0, 1, RLENGTH); sub(/^✘ Test /, "", name); sub(/ recorded an issue$/, "", name)
            issue = substr($0, RSTART + RLENGTH); sub(/^ (at )?/, "", issue)
            if (!(name in first)) first[name] = issue
        }
        /^✘ Test run / { next }
        match($0, /^✘ Test .* failed after /) {
            name = substr($0, 1, RLENGTH); sub(/^✘ Test (case passing .* to )?/, "", name); sub(/ failed after $/, "", name)
            sub(/ with [0-9]+ test cases?$/, "", name)
            delete open[name]
            if (!(name in failed)) { failed[name]; order[++count] = name }
        }
        match($0, /^◇ Test .* started\.$/) && !/^◇ Test (run|case) / {
            name = substr($0, 1, RLENGTH); sub(/^◇ Test /, "", name); sub(/ started\.$/, "", name)
            open[name]; started[++starts] = name
        }
        match($0, /^(✔|➜) Test .* (passed after |skipped)/) {
            name = substr($0, 1, RLENGTH); sub(/^[^ ]+ Test /, "", name); sub(/ (passed after |skipped)$/, "", name)
            sub(/ with [0-9]+ test cases?$/, "", name)
            delete open[name]
        }
        /^error: .*(signal|Fatal|crash)|Fatal error|Crash:/ && !died { died = $0 }
        END {
            for (i = 1; i <= count; i++) print "  " order[i] (order[i] in first ? ": " first[order[i]] : "")
            for (i = 1; i <= starts; i++) if (started[i] in open) { print "  " started[i] ": did not end"; delete open[started[i]] }
            if (died) print "  " died
        }' "$1"
}

# The compiler's errors, each once, with the place and the lines that it draws below; of something else that failed, the log's end.
build_errors() { # LOG
    local errors
    errors=$(awk '
        /error: / { show = !($0 in seen); seen[$0]; if (show) print; next }
        /^ *[0-9]* *\|/ || /^ *`-/ { if (show) print; next }
        { show = 0 }' "$1" | head -n 120)
    if [[ -n $errors ]]; then printf '%s\n' "$errors"; else tail -n 20 "$1"; fi
}

# What R CMD check has to say, whole: its sections that are not OK, among them the ends of the outputs of tests that failed.
r_check_remarks() { # LOG
    awk '
        /^\* / { show = /\.\.\..*(ERROR|WARNING|NOTE)$/; held = $0; if (show) print; next }
        /^ *(\[[^]]*\] *)?(ERROR|WARNING|NOTE)$/ { if (!show && held) print held; show = 1; print; next }
        /^Status: / || /^See$/ { show = 0; next }
        show' "$1"
}

# The test files of the R package that failed.
failed_r_tests() { # LOG
    sed -nE "s/^ *Running the tests in [^ ]*tests\/(.*)\.R[^ ]* failed\.$/  r\/roost\/tests\/\1.R/p" "$1" | sort -u
}
