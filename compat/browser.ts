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

/** Somebody at a screen: opens the dashboard in Chromium, follows its links and keeps pictures of what is to be seen. */
export class Visitor {
  readonly page: Page
  /** What went wrong in the page's own script. */
  readonly errors: string[] = []
  readonly #browser: Browser
  readonly #name: string
  #pictures = 0

  private constructor(browser: Browser, page: Page, name: string) {
    this.#browser = browser
    this.page = page
    this.#name = name
    page.on('pageerror', (error) => this.errors.push(error.message))
    // Whoever presses a button that asks back means it.
    page.on('dialog', (dialog) => void dialog.accept())
  }

  /** `name` names the pictures. */
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

  /** Resolves when this is to be read on the page. */
  async see(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor()
  }

  /** Resolves when the page and what its script fetches are there. */
  async settled(): Promise<void> {
    await this.page.waitForLoadState('networkidle')
  }

  /** Keeps a picture of the whole page as `output/screenshots/<name>-<number>-<what>.png`, and answers its path. */
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
