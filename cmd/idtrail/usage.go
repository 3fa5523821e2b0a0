package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// knownVerb refuses words that are no verb; it is the root's own check of its
// arguments.
func knownVerb(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	root.SuggestionsMinimumDistance = 2
	hint := "try: idtrail --help"
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage(hint, "there is no verb %q", printable(args[0]))
}

// helpCommand is cobra's own, but for an unknown verb, which is wrong usage
// there as everywhere.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [verb]",
		Short:   "Tell more of a verb",
		Long:    "Help tells what a verb does, with its flags and an example, as --help does.",
		Example: "  idtrail help init",
		RunE: func(cmd *cobra.Command, args []string) error {
			verb, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = knownVerb(verb, rest)
			}
			if err != nil {
				return err
			}
			verb.InitDefaultHelpFlag()
			return verb.Help()
		},
	}
}
