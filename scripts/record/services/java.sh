mkdir -p /tmp/build/in
for i in 1 2 3 4 5 6 7 8 9; do echo "line $i of @name@" >/tmp/build/in/$i.txt; done
cat >/tmp/build/build.xml <<'C'
<project default="all" basedir=".">
  <target name="copy"><copy todir="out"><fileset dir="in"/><filterset><filter token="name" value="foliolab"/></filterset></copy></target>
  <target name="pack" depends="copy"><zip destfile="out.zip" basedir="out"/><tar destfile="out.tar.gz" compression="gzip" basedir="out"/><checksum file="out.zip"/></target>
  <target name="all" depends="pack"><unzip src="out.zip" dest="back"/><concat destfile="all.txt"><fileset dir="back"/></concat><xmlproperty file="build.xml"/><delete dir="back"/></target>
</project>
C
for round in 1 2 3 4; do
	ant -q -f /tmp/build/build.xml
	rm -rf /tmp/build/out*
	java -XshowSettings:properties -version 2>&1 | grep -c java
	sleep 0.5
done
