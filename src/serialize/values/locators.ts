import type { GlobalID } from './ruby-values.ts'

export type Locator = (gid: GlobalID) => unknown

const locators = new Map<string, Locator>()

/** Says how GlobalIDs of a model become records, e.g. `registerLocator('User', (gid) => users.find(gid.modelId))`. */
export const registerLocator = (modelName: string, locator: Locator): void => {
  locators.set(modelName, locator)
}

/** What the locator of the model answers; the GlobalID itself where none is registered. */
export const locateWith = (gid: GlobalID): unknown => {
  const locator = locators.get(gid.modelName)
  return locator ? locator(gid) : gid
}
