import { ConfigurationError } from '../../errors.ts'
import { type Zone, zoneNamed } from './zone.ts'

const WRITE = 'Write a name such as "Europe/Berlin", or "UTC"'

/** The zone named `zone`; if undefined, that of the environment variable TZ, else the system's. */
export const processZone = (zone: string | undefined, env: NodeJS.ProcessEnv = process.env): Zone => {
  if (zone !== undefined) return zoneNamed(zone) ?? refuse(`there is no time zone ${JSON.stringify(zone)}`)
  const { TZ: variable } = env
  if (!variable) return systemZone()
  // The C library also takes ":Europe/Berlin" and a path of a file.
  const name = variable.replace(/^:?(?:\/usr\/share\/zoneinfo\/)?/, '')
  return zoneNamed(name) ?? refuse(`the environment variable TZ names no time zone: ${JSON.stringify(variable)}`)
}

const refuse = (problem: string): never => {
  throw new ConfigurationError(`${problem}. ${WRITE}.`)
}

/** Intl has no name, or "Etc/Unknown", where the system has no zone; clocks then show UTC. */
const systemZone = (): Zone => {
  const name: string | undefined = Intl.DateTimeFormat().resolvedOptions().timeZone
  const zone = name === undefined ? undefined : zoneNamed(name)
  return zone ?? zoneNamed('UTC') ?? refuse('there is no time zone UTC')
}
