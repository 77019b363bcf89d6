import { type Command, Option } from 'commander'
import { UsageError } from './failure.ts'

/** Adds options of other libraries that people type by mistake: each is refused with the right one. They are not in the help. */
export const addMistakenOptions = (command: Command, meant: Readonly<Record<string, string>>): void => {
  for (const [option, instead] of Object.entries(meant)) {
    const refuse = () => {
      throw new UsageError(`unknown option ${option}. Did you mean ${instead}?`)
    }
    command.addOption(new Option(`${option} [value]`).preset('').argParser(refuse).hideHelp())
  }
}
