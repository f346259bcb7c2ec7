package unpack

import (
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// The types that Mirror takes and returns and that are at home in the packages
// below this one.
type (
	// Entry is a line of the journal.
	Entry = state.Entry
	// Outcome is what became of one bundle in an import.
	Outcome = state.Outcome

	// Generation is the record of one published state of the mirror.
	Generation = tree.Generation
	// GenerationSet is the part of one set in a generation.
	GenerationSet = tree.GenerationSet
	// GenerationRepository is a repository and where its files are.
	GenerationRepository = tree.GenerationRepository
	// Tree is what a mirror publishes of one kind.
	Tree = tree.View
	// ConflictError: two sets want different things at one place of the mirror.
	ConflictError = tree.ConflictError

	// CheckOptions select how closely to look.
	CheckOptions = tree.CheckOptions
	// CheckResult is what was looked at, and what was wrong.
	CheckResult = tree.CheckResult
	// DamagedError: what is published is not as it was published.
	DamagedError = tree.DamagedError
	// Damage is something that is not as it was published.
	Damage = tree.Damage

	// GCOptions select what may be removed.
	GCOptions = tree.GCOptions
	// GCResult is what was removed, or would be.
	GCResult = tree.GCResult
	// FolderError: something else is where the mirror has a folder.
	FolderError = durable.FolderError
	// KeepReason is why gc keeps a generation.
	KeepReason = tree.KeepReason
)

// The reasons why gc keeps a generation.
const (
	KeptNewest   = tree.KeptNewest
	KeptPrevious = tree.KeptPrevious
	KeptYoung    = tree.KeptYoung
)

// DefaultKeep is how many generations gc keeps if nobody sets it.
const DefaultKeep = tree.DefaultKeep

// The outcomes.
const (
	Imported        = state.Imported
	AlreadyImported = state.AlreadyImported
	Pending         = state.Pending
	Superseded      = state.Superseded
	Refused         = state.Refused
	Failed          = state.Failed
)
