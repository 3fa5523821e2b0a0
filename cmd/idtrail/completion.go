package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a script that completes idtrail's verbs and flags",
		Long: `Completion prints a script for your shell that completes verbs and flags at the
press of Tab. Have the shell read it at its start: put the line of the example
into ~/.bashrc, or the file where your shell looks for such scripts.`,
		Example: `  source <(idtrail completion bash)
  idtrail completion zsh > "${fpath[1]}/_idtrail"
  idtrail completion fish > ~/.config/fish/completions/idtrail.fish`,
		ValidArgs: shells,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE:      func(cmd *cobra.Command, args []string) error { return a.completion(cmd.Root(), args[0]) },
	}
}

func (a *app) completion(root *cobra.Command, shell string) error {
	var err error
	switch shell {
	case "bash":
		err = root.GenBashCompletionV2(a.Out, true)
	case "zsh":
		err = root.GenZshCompletion(a.Out)
	case "fish":
		err = root.GenFishCompletion(a.Out, true)
	case "powershell":
		err = root.GenPowerShellCompletionWithDesc(a.Out)
	}
	if err != nil {
		return fmt.Errorf("write completion: %w", err)
	}
	return nil
}
