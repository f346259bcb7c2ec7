// Package settings writes what points programs at everything that a mirror holds, over all
// sets and kinds: the variables of projects (DeepOps, Kubespray), an environment file, a role
// for Ansible, objects for the GPU Operator.
//
// The names of a project's variables are data: one table for each project, with the release
// that they were read from. A variable stands for public addresses. Where a public address
// is in this mirror is looked up among the public names of the mirror, and whether it is
// there at all in the generation that is written. So nothing here knows a kind.
//
// Every line states what it is: served by the mirror's address, answered under the public name
// alone, or not in this mirror, with the lines of a spec that would bring it.
//
// Values come from file names and addresses that a bundle chose. They are quoted for the
// syntax of each file, and kept from Ansible's templates by the tag !unsafe.
package settings
