package state

import (
	"os"
	"time"

	"github.com/gapbundle/gapbundle/bundle/durable"
)

// The names of the mirror's own state, in the directory of the mirror.
const (
	// Dir holds everything that clients do not see.
	Dir = "state"
	// ListsDir holds file and evidence lists, by digest.
	ListsDir = Dir + "/lists"
	// GenerationsDir holds what each generation publishes.
	GenerationsDir = Dir + "/generations"
	// PendingDir holds bundles that wait for volumes.
	PendingDir = Dir + "/pending"
	// SettingsFile is there last when a mirror is made: its presence shows that
	// the folder is one.
	SettingsFile = Dir + "/mirror.json"

	setsDir    = Dir + "/sets" // what was accepted, by set
	receiptDir = Dir + "/receipts"
	requestDir = Dir + "/requests" // repair requests, by set; made at the first
	rootsDir   = Dir + "/bundles"  // signed roots of what was accepted

	// PolicyFile has the trusted keys, JournalFile the events of the mirror, ReceiptKeyFile
	// the key that signs receipts, GivenFile the paths that operators gave to sets.
	PolicyFile     = Dir + "/trust.json"
	JournalFile    = Dir + "/journal.jsonl"
	ReceiptKeyFile = Dir + "/receipt.key"
	GivenFile      = Dir + "/given.json"

	// receiptPublicFile is the public half of ReceiptKeyFile, for readers who may not read
	// the private one.
	receiptPublicFile = Dir + "/receipt.pub"

	lockFile   = Dir + "/lock"
	intentFile = Dir + "/publishing.json"
)

// StateOptions are what the state has to know of the process.
type Options struct {
	// Now is the local clock.
	Now func() time.Time
	// RetryLock is how long Lock waits for another process; 0: not at all.
	RetryLock time.Duration
	// Tool is the name and version of the program, for receipts. Built is when
	// it was built, where the clock floor of a set begins.
	Tool  string
	Built time.Time
}

// State is what a mirror remembers. Its methods only read; there is one for each file.
type State struct {
	root *os.Root // of the mirror
	dir  string   // absolute
	o    Options
}

// Writer is a State whose lock is held: what changes something is a method
// of it.
type Writer struct{ *State }

// New returns the state of the mirror in root, whose absolute path is dir.
// root stays the caller's to close.
func New(root *os.Root, dir string, o Options) *State { return &State{root, dir, o} }

// Now returns the local clock in UTC, in whole seconds.
func (s *State) Now() time.Time { return s.o.Now().UTC().Truncate(time.Second) }

// Create makes what is missing of the state; the settings come last. group is the number
// of the group that may read it, NoGroup: none.
func Create(root *os.Root, group int) error {
	err := durable.MakeDir(root, Dir, privateDirMode)
	if err == nil && group != NoGroup {
		err = giveDir(root, group)
	}
	if err != nil {
		return err
	}
	for _, d := range []string{ListsDir, setsDir, GenerationsDir, receiptDir, PendingDir, rootsDir} {
		if err := makeDir(root, d); err != nil {
			return err
		}
	}
	return WriteJSON(root, SettingsFile, Settings{Format: Format})
}
