import { Command, Help } from 'commander'
import { VERSION } from '../version.ts'
import { EXIT, report } from './failure.ts'

const buildProgram = async (argv: readonly string[]): Promise<Command> => {
  const program = new Command('good-job')
    .description("Jobs and batches on GoodJob's Postgres tables, in Node, beside Rails.")
    .version(VERSION, '-V, --version')
    .option('--verbose', 'show the stack traces of errors')
    .configureHelp({ showGlobalOptions: true, padWidth, formatItem })
    .showSuggestionAfterError()
    .exitOverride()
  if (argv.slice(2).find((argument) => !argument.startsWith('-')) === 'start') {
    // Alone: the other commands load Postgres's client, which a supervisor must not.
    const { addStartCommand } = await import('./start/start.ts')
    addStartCommand(program)
  } else {
    const { addCommands } = await import('./commands.ts')
    addCommands(program)
  }
  return program
}

const MAX_TERM_WIDTH = 30

// One long name would push every description to the right edge, so it gets a line of its own.
function padWidth(this: Help, command: Command, helper: Help): number {
  return Math.min(MAX_TERM_WIDTH, Help.prototype.padWidth.call(this, command, helper))
}

function formatItem(this: Help, term: string, termWidth: number, description: string, helper: Help): string {
  const format = (text: string) => Help.prototype.formatItem.call(this, text, termWidth, description, helper)
  return helper.displayWidth(term) <= termWidth ? format(term) : `  ${term}\n${format('')}`
}

/** Runs the command line. @returns the exit code */
export const runProgram = async (argv: readonly string[]): Promise<number> => {
  const program = await buildProgram(argv)
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // `good-job jobs list | head`: the reader closed the pipe.
    if (error.code !== 'EPIPE') throw error
    process.exit(EXIT.done)
  })
  if (argv.length <= 2) {
    program.outputHelp()
    return EXIT.done
  }
  try {
    await program.parseAsync(argv)
    return EXIT.done
  } catch (error) {
    return report(error, { isVerbose: argv.includes('--verbose') })
  }
}
