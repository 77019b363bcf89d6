import type { Command } from 'commander'
import { pc } from '../colors.ts'
import { checkSchema, installSchema, printSchema, type SchemaReport } from '../sql/schema/schema.ts'
import { PartialFailure } from './failure.ts'
import { print, printJson, snakeCase } from './output.ts'
import { addSessionOptions, withSession } from './session.ts'

/** `good-job schema …`: installs, checks and prints the tables. */
export const addSchemaCommands = (program: Command): void => {
  const schema = program.command('schema').description('the tables: create them, compare them, print them')
  const install = addSessionOptions(
    schema.command('install').description('create the tables of GoodJob 4.23.1; tables that exist are never touched'),
  )
  install.action(() =>
    withSession(install, async ({ adapter, isJson }) => {
      const result = await installSchema(adapter.database.pool)
      if (isJson) printJson(result)
      else if (result.installed.length > 0)
        print(`Installed in schema "${result.schema}": ${result.installed.join(', ')}.`)
      else print(`Nothing to do: schema "${result.schema}" has all tables, as of GoodJob 4.23.1.`)
    }),
  )
  const check = addSessionOptions(
    schema
      .command('check')
      .description('compare the tables with those of GoodJob 4.23.1; fails when no worker can run on them'),
  )
  check.action(() =>
    withSession(check, async ({ adapter, isJson }) => {
      const report = await checkSchema(adapter.database.pool)
      if (isJson) printJson({ ...(snakeCase(report) as object), can_work: canWork(report) })
      else print(schemaText(report).join('\n'))
      if (!canWork(report)) throw new PartialFailure('no worker can run on these tables')
    }),
  )
  schema
    .command('print')
    .description('print the SQL that creates the tables')
    .action(() => void process.stdout.write(printSchema()))
}

const canWork = ({ capabilities, version3Writer }: SchemaReport): boolean =>
  capabilities !== undefined && version3Writer === undefined

/** The report as text; the first line is the verdict. */
export const schemaText = (report: SchemaReport): string[] => {
  const { goodJobVersion, schema, isCurrent, isRails, requiredGaps, version3Writer } = report
  if (goodJobVersion === undefined) {
    return [
      `${pc.red('✖')} There are no GoodJob tables (search_path: ${schema}). Create them with "good-job schema install".`,
    ]
  }
  const owner = isRails ? 'a Rails application owns them' : 'no Rails application owns them'
  const where = ` in schema "${schema}"`
  if (isCurrent && version3Writer === undefined)
    return [`${pc.green('✔')} The tables${where} are those of GoodJob 4.23.1; ${owner}.`]
  const verdict = canWork(report)
    ? `${pc.yellow('●')} A worker can run on these tables${where} (GoodJob ${goodJobVersion} or later; ${owner}).`
    : `${pc.red('✖')} No worker can run on these tables${where} (${owner}).`
  const way = isRails ? 'bin/rails g good_job:update && bin/rails db:migrate' : 'their owner must change them'
  return [
    verdict,
    ...requiredGaps.map((name) => `  ${pc.red('missing')} ${name}`),
    ...(version3Writer === undefined ? [] : [`  ${version3Writer}`]),
    ...report.missingTables.map((name) => `  missing table ${name}`),
    ...report.missingColumns.map((name) => `  missing column ${name}`),
    ...report.missingIndexes.map((name) => `  missing index ${name}`),
    ...report.changed.map((text) => `  ${text}`),
    ...(isCurrent ? [] : [`  To be as GoodJob 4.23.1: ${way}.`]),
  ]
}
