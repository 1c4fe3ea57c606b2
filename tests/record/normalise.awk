# SPDX-License-Identifier: Apache-2.0
# The part of a recording that must be the same in remote mode.
#
#   driver --compared >names; awk -f normalise.awk names LOG
#
# What the client answers itself, gathers or asks for its own use is left out, and
# so is the class that a free function is named after: an object is freed as what
# it is, whoever asks.
NR == FNR {
    compared[$1]
    next
}
$1 in compared {
    # The server passes a range as the union with itself: FAISS takes a plain range for a
    # part of the index, and reads beyond it in some classes.
    gsub(/IDSelectorOr\(IDSelectorRange\(1,9\),IDSelectorRange\(1,9\)\)/, "IDSelectorRange(1,9)")
    if ($1 ~ /_free$/) {
        if ($2 ~ /=nil$/)
            next # freeing nothing is nobody's business
        sub(/^faiss_[A-Za-z0-9]*_free [a-z_]*=/, "free ")
    }
    print
}
