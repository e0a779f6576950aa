/** Words that every page needs, in the page's language. They are set before anything is drawn. */
import type { ErrorCode } from 'bursar/client'

export interface Words {
  loading: string
  tryAgain: string
  close: string
  cancel: string
  copy: string
  copied: string
  save: string
  saved: string
  optional: string
  more: string
  csv: string
  asTable: string
  menu: string
  skip: string
  offline: string
  timedOut: string
  unexpected: string
  stopped: string
  challengeTitle: string
  challengeText: string
  requestId(id: string): string
  waitSeconds(seconds: number): string
  waitMinutes(minutes: number): string
  /** Texts in place of the API's English ones. A code without a text shows what the API says. */
  problems: Partial<Record<ErrorCode, string>>
}

/** Live: each page has it filled by `useWords` before it starts. */
export const words = {} as Words

export const useTheseWords = (of: Words): void => {
  Object.assign(words, of)
}
