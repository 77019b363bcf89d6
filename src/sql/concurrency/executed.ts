import pg from 'pg'
import { type Queryable, rowsOf, type Statement } from '../connection/queryable.ts'
import { textArray } from '../text.ts'

/** A session on which statements stay prepared until `end` fires. */
export interface PreparingSession extends Queryable {
  readonly end: AbortSignal
}

const preparedOn = new WeakMap<AbortSignal, Set<string>>()

/**
 * Returns the text that executes a statement inside a message of several statements. The session prepares the statement at its first
 * use: a message of several statements cannot have parameters, and planning this one each time would take longer than executing it.
 */
export const executed = async (session: PreparingSession, statement: Required<Statement>): Promise<string> => {
  const names = preparedOn.get(session.end) ?? new Set()
  preparedOn.set(session.end, names)
  const { text, values } = statement
  // pg prepares statements under these names, too.
  const name = `${statement.name}_executed`
  if (!names.has(name)) {
    await rowsOf(session, { text: `PREPARE ${name} AS ${text}` })
    names.add(name)
  }
  return `EXECUTE ${name}(${values.map(literal).join(', ')})`
}

const literal = (value: unknown): string => {
  if (value === null || value === undefined) return 'NULL'
  return pg.escapeLiteral(Array.isArray(value) ? textArray(value) : String(value))
}
