// Package media writes a bundle onto media: removable disks that are filled
// one after the other.
//
// The order of work is: PlanRuns decides which blobs go into which volume;
// Writer.Run writes the volumes of one run, in order; Writer.Finish writes the
// catalogue, the root and its signatures, and only then renames the directory to
// its final name. docs/format.md states what the files look like.
//
// Everything is durable before anything refers to it, and every file is read
// back from the medium. Everything that was written is recorded on the exporter's own
// disk (record.go), so that an interrupted export continues where it stopped.
// The bytes of a bundle do not depend on how many jobs write it, nor on how
// often it was interrupted.
//
// The package belongs to the connected side: verify and unpack read bundles
// with package bundle and never reach it.
package media
