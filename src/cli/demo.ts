import type { Command } from 'commander'
import { runDemo } from '../demo/demo.ts'
import { PartialFailure } from './failure.ts'

/** `good-job demo` */
export const addDemoCommand = (program: Command): void => {
  program
    .command('demo')
    .description('see it work on a Postgres of its own: a worker, real jobs, and a batch that recovers')
    .option('--keep', 'keep it running and print the database URL')
    .action(async ({ keep = false }: { keep?: boolean }) => {
      const stop = new AbortController()
      const onEnd = () => stop.abort(new Interrupted())
      // These listeners stay: neither a second Ctrl-C nor a closed terminal may cut the clean-up short.
      for (const signal of SIGNALS) process.on(signal, onEnd)
      process.stdout.on('error', onEnd)
      try {
        await runDemo({ keep, output: process.stdout, signal: stop.signal })
      } catch (error) {
        if (error instanceof Interrupted) throw new PartialFailure('interrupted')
        throw error
      } finally {
        for (const signal of SIGNALS) process.off(signal, onEnd)
      }
    })
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

class Interrupted extends Error {}
