/** What an XML element has in it. */
import { XmlElement } from '@rgrove/parse-xml';

export const childrenOf = (element: XmlElement | null, name: string): readonly XmlElement[] =>
  (element?.children ?? []).filter((child): child is XmlElement => child instanceof XmlElement && child.name === name);

/** The first of them. */
export const childOf = (element: XmlElement | null, name: string): XmlElement | null =>
  childrenOf(element, name)[0] ?? null;

/** Empty where there is no such element. */
export const textOf = (element: XmlElement | null): string => element?.text ?? '';
