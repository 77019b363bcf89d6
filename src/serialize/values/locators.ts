import type { GlobalID } from './ruby-values.ts'

export type Locator = (gid: GlobalID) => unknown

const locators = new Map<string, Locator>()

/** Registers how records of a model are found by GlobalID, e.g. `registerLocator('User', (gid) => users.find(gid.modelId))`. */
export const registerLocator = (modelName: string, locator: Locator): void => {
  locators.set(modelName, locator)
}

/** Calls the locator of the model; returns the GlobalID itself if none is registered. */
export const locateWith = (gid: GlobalID): unknown => {
  const locator = locators.get(gid.modelName)
  return locator ? locator(gid) : gid
}
