import type { JsonValue } from '../json.ts'
import type { RailsVersion } from '../rails-version.ts'

/** The state of one deserializeArguments call, passed down to nested values. */
export interface Decoding {
  readonly railsVersion: RailsVersion
  readonly isFloatLoose: boolean
  readonly isMap: boolean
  readonly isUnknownOpaque: boolean
  readonly isBadGlobalIDNull: boolean
  readonly isTemporal: boolean
}

/** Decodes one value of any kind; passed to the functions that decode containers. */
export type Decode = (value: JsonValue, decoding: Decoding) => unknown
