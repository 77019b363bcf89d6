import type { World } from './harness.ts'

/** A default that a DBA has set for sessions that are opened from now on. */
export interface DefaultSetting {
  readonly name: string
  readonly value: string
  /** For all roles of the database, or for the test's role in it; the second wins. */
  readonly scope: 'database' | 'role'
}

/** Sets a default for later sessions in the database of `world`. */
export const setDefault = ({ database }: World, { name, value, scope }: DefaultSetting): Promise<void> =>
  alter(database, scope, `SET ${name} = '${value}'`)

const alter = async (database: World['database'], scope: DefaultSetting['scope'], change: string): Promise<void> => {
  const client = await database.connect()
  const { rows } = await client.query<{ database: string; role: string }>(
    'SELECT quote_ident(current_database()) AS database, quote_ident(current_user) AS role',
  )
  const [at] = rows
  await client.query(
    scope === 'database'
      ? `ALTER DATABASE ${at?.database} ${change}`
      : `ALTER ROLE ${at?.role} IN DATABASE ${at?.database} ${change}`,
  )
  await client.end()
}
