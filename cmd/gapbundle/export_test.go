package main

import (
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/export"
)

// TestByteSize: what --volume-size takes, and what it refuses.
func TestByteSize(t *testing.T) {
	var size byteSize
	if err := size.Set("2MiB"); err != nil || size.String() != "2.0 MiB" {
		t.Errorf("2MiB: %s, %v", &size, err)
	}
	if err := size.Set("two"); err == nil {
		t.Error("two: not refused")
	}
}

// TestPlanLines: the plan names each line of a source's lists with its size, in the
// order that it is given.
func TestPlanLines(t *testing.T) {
	var b strings.Builder
	writePlan(&b, &export.PlanReport{Set: "site", Sequence: 1, Sources: []export.PlanSource{
		{Name: "cluster", Kind: "kubespray", Lines: []collect.Weight{
			{Line: "quay.io/cilium/cilium:v1.18.2", Bytes: 300 << 20, Files: 12}, {Line: "https://dl.k8s.io/kubelet", Files: 1, Unsized: 1},
		}},
		{Name: "other", Kind: "files"},
	}}, nil, time.Time{})
	text := b.String()
	for _, want := range []string{
		"cluster, by line (an image counts with all its layers):\n", "  300.0 MiB ", " 12 ", " quay.io/cilium/cilium:v1.18.2\n", " and 1 file of unknown size ", " https://dl.k8s.io/kubelet\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "other, by line") || strings.Index(text, "quay.io") > strings.Index(text, "kubelet") {
		t.Errorf("got\n%s", text)
	}
}
