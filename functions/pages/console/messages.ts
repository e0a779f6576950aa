import { language } from '../kit/language.ts'
import { useTheseWords } from '../kit/words.ts'
import type { en } from './messages/en.ts'

/** What every language has to say; a text that is missing in one does not compile. */
export type Messages = typeof en

const load: Record<typeof language, () => Promise<Messages>> = {
  en: async () => (await import('./messages/en.ts')).en,
  de: async () => (await import('./messages/de.ts')).de,
}

export const t: Messages = await load[language]()

useTheseWords(t.words)
document.documentElement.lang = language
