import { type Command, InvalidArgumentError } from 'commander'
import { type PublishedRule, publishedRulesOf } from '../../job/concurrency/published.ts'
import { jobClassName } from '../../job/definition/naming.ts'
import { listScopes, showScope } from '../../maintenance/concurrency/scopes.ts'
import { print, printJson, snakeCase } from '../output.ts'
import { addSessionOptions, parseLimit, withSession } from '../session.ts'
import { loadJobs } from '../start/load-jobs.ts'
import { drawScope, drawScopes } from './view.ts'

const NOTE = `
A scope is what a concurrency rule counts: label:<label>, key:<concurrency key>, or all. Workers in Node publish their rules.
Rules of Ruby are not known, only the claims of its jobs. --jobs adds the rules of classes that no live worker has.`

/** `good-job concurrency …`: what the concurrency rules count, and which jobs have places. */
export const addConcurrencyCommands = (program: Command): void => {
  const concurrency = program
    .command('concurrency')
    .description('what the concurrency rules count: running and waiting jobs')
  const list = addOptions(concurrency.command('list').description('list the scopes in use, most waiting jobs first'))
  list.action(() => listPage(list))
  const show = addOptions(
    concurrency.command('show').description('show the jobs that run in a scope, and those that are next'),
  )
  show.argument('<scope>', 'label:<label>, key:<key> or all', parseScope).action((key: string) => showOne(show, key))
}

interface Options {
  readonly limit: number
  readonly jobs: readonly string[]
}

const addOptions = (command: Command): Command =>
  addSessionOptions(command)
    .option('--limit <rows>', 'rows to print', parseLimit, 25)
    .option('--jobs <module...>', 'modules that export job classes, as for start', [])
    .addHelpText('after', NOTE)

const parseScope = (text: string): string => {
  if (text === 'all' || /^(label|key):./s.test(text)) return text
  throw new InvalidArgumentError('Expected label:<label>, key:<key> or all.')
}

const listPage = (command: Command): Promise<void> =>
  withSession(command, async ({ adapter, isJson, now }) => {
    const list = await listScopes(adapter, await scopeOptions(command))
    if (isJson) return printJson(snakeCase(list))
    print(drawScopes(list, now))
  })

const showOne = (command: Command, key: string): Promise<void> =>
  withSession(command, async ({ adapter, isJson, now }) => {
    const scope = await showScope(adapter, key, await scopeOptions(command))
    if (isJson) return printJson(snakeCase(scope))
    print(drawScope(scope, now))
  })

const scopeOptions = async (command: Command): Promise<{ limit: number; rules: PublishedRule[] }> => {
  const { limit, jobs } = command.opts<Options>()
  const classes = jobs.length === 0 ? [] : await loadJobs(jobs)
  return { limit, rules: classes.flatMap((jobClass) => publishedRulesOf(jobClassName(jobClass), jobClass)) }
}
