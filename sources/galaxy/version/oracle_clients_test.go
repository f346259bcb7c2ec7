//go:build clients

package version

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

// TestRangesAsAnsible asks ansible-core itself about ranges: the cases of the unit test, and 5,000
// made at random.
func TestRangesAsAnsible(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	number := func() string {
		text := fmt.Sprintf("%d.%d.%d", random.IntN(3), random.IntN(3), random.IntN(12))
		if random.IntN(3) == 0 {
			text += []string{"-alpha", "-alpha.1", "-beta.11", "-rc.2", "-2", "-10", "-rc.1+b"}[random.IntN(7)]
		}
		if random.IntN(6) == 0 && !strings.Contains(text, "+") {
			text += []string{"+build.1", "+7"}[random.IntN(2)]
		}
		return text
	}
	type question struct{ Version, Range string }
	var all []question
	for _, c := range RangeCases() {
		all = append(all, question{c.Version, c.Range})
	}
	for range 5000 {
		q := question{Version: number()}
		for i := range 1 + random.IntN(2) {
			if i > 0 {
				q.Range += ","
			}
			text := number()
			if random.IntN(4) == 0 {
				text = fmt.Sprintf("%d.%d", random.IntN(3), random.IntN(3))
			}
			q.Range += []string{"", "=", "==", "!=", ">", ">=", "<", "<="}[random.IntN(8)] + text
		}
		all = append(all, q)
	}
	input, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	const program = `import json, sys
from ansible.galaxy.dependency_resolution.versioning import meets_requirements
print(json.dumps([bool(meets_requirements(q["Version"], q["Range"])) for q in json.load(sys.stdin)]))`
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", program)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ansible-core: %v", err)
	}
	var want []bool
	if err := json.Unmarshal(out, &want); err != nil || len(want) != len(all) {
		t.Fatalf("%d answers, %v", len(want), err)
	}
	yes := 0
	for i, q := range all {
		r, err := ParseRange(q.Range)
		if err != nil {
			t.Errorf("%s: %v", q.Range, err)
			continue
		}
		if got := r.Has(parse(t, q.Version)[0]); got != want[i] {
			t.Errorf("%s in %q: %v, ansible-core says %v", q.Version, q.Range, got, want[i])
		}
		if want[i] {
			yes++
		}
	}
	t.Logf("%d questions, %d of them answered with yes", len(all), yes)
}
