package bundle

import "iter"

// Run is a unit of parallel work: volumes that share spanning blobs.
type Run struct {
	// First is the number of the first volume, from 1; Volumes is how many
	// there are, 0 for an open-ended run (the tail).
	First, Volumes int
	// Count is how many blobs the run takes, in order.
	Count int64
	// Raw is the length of their tar members.
	Raw int64
}

// PlanRuns places blobs of known sizes.
func PlanRuns(volumeSize int64, sizes iter.Seq2[int64, error]) ([]Run, error) { panic("not yet") }
