import type { JsonValue } from '../json.ts'
import type { RailsVersion } from '../rails-version.ts'

/** What one deserializeArguments call knows on its way down. */
export interface Decoding {
  readonly railsVersion: RailsVersion
  readonly isFloatLoose: boolean
  readonly isMap: boolean
  readonly isUnknownOpaque: boolean
  readonly isBadGlobalIDNull: boolean
  readonly isTemporal: boolean
}

/** Decodes one value of any kind; handed to those who decode containers. */
export type Decode = (value: JsonValue, decoding: Decoding) => unknown
