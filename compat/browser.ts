import { mkdir } from 'node:fs/promises'
import { type Browser, chromium, type Page } from 'playwright-core'
import { OUTPUT } from './support/program.ts'
import { CHROMIUM } from './support/tools.js'
import { describeWith } from './support/with-tools.ts'

/** `describe` for tests that need a browser and the Rails application that it visits. */
export const describeWithBrowser = describeWith('ruby', 'chromium')

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A visitor with a browser: opens the dashboard in Chromium, follows its links and saves screenshots. */
export class Visitor {
  readonly page: Page
  /** Errors of the page's own script. */
  readonly errors: string[] = []
  readonly #browser: Browser
  readonly #name: string
  #pictures = 0

  private constructor(browser: Browser, page: Page, name: string) {
    this.#browser = browser
    this.page = page
    this.#name = name
    page.on('pageerror', (error) => this.errors.push(error.message))
    // Every confirmation dialog is accepted.
    page.on('dialog', (dialog) => void dialog.accept())
  }

  /** `name` is the prefix of the screenshots. */
  static async arrive(name: string): Promise<Visitor> {
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
    const page = await browser.newPage({ viewport: { width: 1400, height: 1000 }, colorScheme: 'light' })
    return new Visitor(browser, page, name)
  }

  /** Follows a link of the page's navigation by its text. */
  async go(text: string): Promise<void> {
    await this.page.locator('nav a', { hasText: text }).first().click()
    await this.settled()
  }

  /** Follows the link that leads to this path below the dashboard. */
  async follow(path: string): Promise<void> {
    await this.page.locator(`a[href*="${path}"]`).first().click()
    await this.page.waitForURL(`**${path}*`)
    await this.settled()
  }

  /** Resolves when the page shows this text. */
  async see(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor()
  }

  /** Resolves when the page and the parts fetched by its script are loaded. */
  async settled(): Promise<void> {
    await this.page.waitForLoadState('networkidle')
  }

  /** Saves a screenshot of the whole page as `output/screenshots/<name>-<number>-<what>.png`, and returns its path. */
  async picture(what: string): Promise<string> {
    this.#pictures += 1
    const folder = `${OUTPUT}screenshots/`
    await mkdir(folder, { recursive: true })
    const path = `${folder}${this.#name}-${this.#pictures}-${what}.png`
    await this.page.screenshot({ path, fullPage: true })
    return path
  }

  async leave(): Promise<void> {
    await this.#browser.close()
  }
}
