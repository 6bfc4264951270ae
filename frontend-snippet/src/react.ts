/** The SDK as a React component, around `embedNotebook`. */
import {
  createElement, type CSSProperties, type ForwardedRef, forwardRef, useEffect, useImperativeHandle, useLayoutEffect, useRef, useState,
} from 'react';
import { type EmbedOptions, embedNotebook, type NotebookEmbed } from './index.js';

export interface InsetNotebookProps extends Omit<EmbedOptions, 'mountPoint'> {
  className?: string;
  style?: CSSProperties;
}

/** Layout effects are undone before React takes the element away, in time to save; a server has neither. */
const useMounted = typeof window === 'undefined' ? useEffect : useLayoutEffect;

/**
 * A notebook, for as long as the component is there. Another service, notebook or interface opens another one; listeners
 * and `fetchToken` may change at every render. The ref is the handle, or null before there is one.
 */
export const InsetNotebook = forwardRef(function InsetNotebook(props: InsetNotebookProps, ref: ForwardedRef<NotebookEmbed>) {
  const { className, style, serviceUrl, notebookId, interface: shown } = props;
  const element = useRef<HTMLDivElement>(null);
  const newest = useRef(props);
  const [notebook, setNotebook] = useState<NotebookEmbed | null>(null);

  useMounted(() => { newest.current = props; });
  useMounted(() => {
    if (!element.current) return;
    const opened = embedNotebook({ ...late(newest), mountPoint: element.current });
    setNotebook(opened);
    return () => void opened.leave();
  }, [serviceUrl, notebookId, shown]);
  useImperativeHandle(ref, () => notebook as NotebookEmbed, [notebook]);

  return createElement('div', { ref: element, className, style });
});

/** Options whose functions call what the newest render gave. */
function late(newest: { readonly current: InsetNotebookProps }): InsetNotebookProps {
  const options: Record<string, unknown> = { ...newest.current };
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== 'function') continue;
    options[name] = (...values: unknown[]) => {
      const current = newest.current[name as keyof InsetNotebookProps] as ((...values: unknown[]) => unknown) | undefined;
      return current?.(...values);
    };
  }
  return options as unknown as InsetNotebookProps;
}
